// Pictures from a webcam. Knows the browser's camera; hands out files, and knows no service.

import { byId, show } from "./dom.js";

const video = byId("video");
let stream = null;
let opening = 0; // closed while the browser asks, a camera must not start
let taken = 0;

const REASONS = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it in the address bar, then open the camera again.",
  NotFoundError: "No camera was found. Plug one in, or choose pictures instead.",
  NotReadableError: "The camera is used by another program. Close it, then open the camera again.",
};

function say(text) {
  byId("camera-note").textContent = text;
  show(byId("camera-note"), text !== "");
  for (const part of [video, byId("shoot")]) show(part, text === "");
}

export const isOpen = () => stream !== null;

export async function openCamera() {
  show(byId("camera"));
  if (stream) return;
  opening += 1;
  const mine = opening;
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    say("Browsers give the camera only to pages opened over https, or as localhost on the machine itself. Open this page that way, or choose pictures instead.");
    return;
  }
  say("");
  try {
    const found = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } } });
    if (mine !== opening) {
      found.getTracks().forEach((track) => track.stop());
      return;
    }
    stream = found;
    stream.getVideoTracks()[0].addEventListener("ended", () => {
      closeStream();
      say("The camera is gone: it was unplugged, or another program has taken it. Plug it in, then open it again.");
    });
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    if (mine !== opening) return;
    closeStream();
    say(REASONS[error.name] ?? "The camera could not be opened. Choose pictures instead.");
  }
}

function closeStream() {
  opening += 1;
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
}

async function shoot(take) {
  const track = stream?.getVideoTracks()[0];
  if (!video.videoWidth || track?.readyState !== "live") return;
  if (track.muted) { // the element still shows the frame before: another part's, perhaps
    say("The camera sends no picture at the moment. Close it and open it again.");
    return;
  }
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  taken += 1;
  take([new File([blob], `camera ${taken}.png`, { type: "image/png" })]);
}

export function setUpCamera(take) {
  byId("camera-button").addEventListener("click", openCamera);
  byId("shoot").addEventListener("click", () => shoot(take));
  byId("camera-close").addEventListener("click", () => {
    closeStream();
    show(byId("camera"), false);
    byId("camera-button").focus();
  });
}
