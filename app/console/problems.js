// Errors as people say them. Knows the service's error codes; knows neither page nor network.

// code: [what happened, what to do]
const WORDS = {
  image_unrecognised: ["This file is not a picture.", "Choose a PNG, JPEG, BMP, TIFF or WebP file."],
  image_corrupt: ["This picture is damaged or incomplete.", "Copy it again from its source, or take it again."],
  image_animated: ["This file holds more than one picture.", "Save one frame as a PNG and send that."],
  image_missing: ["No picture arrived.", "Choose it again."],
  body_unreadable: ["The service could not read what was sent.", "Choose the picture again. If it happens again, reload this page."],
  body_too_large: ["This file is larger than the service accepts.", "Send a smaller picture, or raise SSVP_MAX_BODY_BYTES."],
  body_timeout: ["The picture took too long to arrive.", "The network is slow: try again, or send a smaller picture."],
  image_too_large: ["This picture has more pixels than the service accepts.", "Send a smaller picture, or raise SSVP_MAX_PIXELS."],
  format_refused: ["This kind of picture is not accepted.", "Save it with 8 bits per channel as a PNG or a JPEG."],
  parameter_invalid: ["The service does not accept one of the entries.", "Check the product's name and the numbers."],
  key_missing: ["This service asks for an API key.", "Enter your key above, then try again."],
  key_wrong: ["This API key is not accepted.", "Check it letter by letter, or ask the person who runs the service for one."],
  other_site: ["A page from another address is not allowed to change anything here.", "Open this page from the service itself; a proxy in between must pass on the Host header."],
  rate_limited: ["This key has been used too often in a short time.", "Wait a moment and try again."],
  starting: ["The service is still starting.", "It is loading its model; this page will say when it is ready."],
  not_ready: ["The service is not ready to inspect.", "Its self-check failed, so its results could not be trusted. Tell the person who runs it."],
  queue_full: ["The service has more to do than it can handle.", "Try again in a moment."],
  draining: ["The service is shutting down.", "It is being restarted or updated; try again in a minute."],
  worker_dead: ["The part of the service that computes has stopped.", "The service has to be restarted; tell the person who runs it."],
  device_lost: ["The service's computing device failed.", "The service restarts by itself; try again in a minute."],
  deadline_passed: ["The service was too slow for this picture.", "Try again. If it happens again, the service has too much to do."],
  deadline_unreachable: ["The service has too much to do to answer in time.", "Try again in a moment."],
  bundle_changed: ["The model was changed while the good parts were inspected.", "Start over, so that all scores come from one model."],
  calibration_too_few: ["These are too few good parts for that promise.", "Add good parts, or allow more of them to be rejected."],
  calibration_image: ["One of the pictures could not be inspected.", "Leave it out, or take it again."],
  inference_failed: ["The model failed on this picture.", "Try again. If it happens again, give the request number below to the person who runs the service."],
  prediction_invalid: ["The model gave an invalid result.", "Try again. If it happens again, give the request number below to the person who runs the service."],
  calibration_saturated: ["The good parts score at the top of the scale.", "With this model no threshold can tell bad parts from them."],
  product_unknown: ["There is no saved threshold for this product.", "Calibrate it first."],
  rollback_impossible: ["There is no earlier version to go back to.", "Calibrate again instead."],
  products_read_only: ["The service cannot write its products file.", "Put the text below into that file by hand."],
  unreachable: ["The service cannot be reached.", "Is it running? Check the network, then try again."],
};

export class Problem extends Error {
  constructor(code, detail = "", { status = 0, retryAfter = 0, requestId = "" } = {}) {
    super(detail || code);
    Object.assign(this, { code, detail, status, retryAfter, requestId });
    const [what, todo] = WORDS[code] ?? ["The service could not do this.", "Try again. If it happens again, give the request number below to the person who runs the service."];
    this.what = what;
    this.todo = todo;
  }

  // Whatever was thrown, as a problem.
  static of(error) {
    return error instanceof Problem ? error : new Problem("internal", String(error));
  }

  // Whether a key, or another one, is what is missing.
  get asksForKey() {
    return this.code.startsWith("key_");
  }

  // Whether the same request may succeed in a moment.
  get passing() {
    return ["queue_full", "rate_limited", "deadline_passed", "deadline_unreachable"].includes(this.code);
  }
}
