// Calls of the service. Knows addresses and the key; knows nothing of the page.

import { Problem } from "./problems.js";

const KEY = "ssvp-api-key"; // sessionStorage: this tab only, gone with it
const PATIENCE_MS = 60000;
const ATTEMPTS = 6;

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

async function problemOf(response) {
  const found = await response.json().catch(() => ({}));
  return new Problem(found.code ?? "internal", found.detail ?? "", {
    status: response.status,
    retryAfter: Number(response.headers.get("Retry-After") ?? 0),
    requestId: found.request_id ?? "",
  });
}

async function call(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  if (key.get()) headers["X-API-Key"] = key.get();
  const request = { ...options, headers, cache: "no-store", credentials: "same-origin" };
  let response;
  try {
    response = await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable");
  }
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

const post = (path, value) =>
  call(path, { method: "POST", body: JSON.stringify(value), headers: { "Content-Type": "application/json" } });

const of = (product) => `v1/products/${encodeURIComponent(product)}`;

// What is full now has room in a moment: try again as the service says, a few times.
export async function detect(image, parameters, signal) {
  const query = new URLSearchParams({ deadline_ms: PATIENCE_MS, ...parameters });
  for (let attempt = 1; ; attempt += 1) {
    try {
      const headers = { "Content-Type": image.type || "application/octet-stream" };
      return await call(`v1/detect?${query}`, { method: "POST", body: image, headers, signal });
    } catch (error) {
      if (!error.passing || attempt === ATTEMPTS) throw error;
      await pause(Math.max(error.retryAfter, 0.3));
      if (signal?.aborted) throw new DOMException("stopped", "AbortError");
    }
  }
}

export const products = () => call("v1/products");
export const history = (product) => call(of(product));
export const calibrate = (product, form) => post(`${of(product)}/calibrate`, form);
export const rollBack = (product, version) => post(`${of(product)}/rollback`, { version });

// {ready, reason}; a probe never asks for a key.
export async function readiness() {
  try {
    const response = await fetch("readyz", { cache: "no-store" });
    const found = await response.json();
    return { ready: response.ok, status: found.status, reason: found.reason };
  } catch {
    return { ready: false, status: "unreachable", reason: "" };
  }
}
