// A photograph from this machine's own camera, where there is no phone's camera program to open. Hands over a file;
// refuses to know what becomes of it.

import { make, need, say } from "./dom.js";

/** Whether there is one that the page may ask for: browsers offer none over plain http from another host. */
export async function hasCamera() {
  const devices = await navigator.mediaDevices?.enumerateDevices().catch(() => []);
  return (devices ?? []).some(({ kind }) => kind === "videoinput");
}

/**
 * @param {(files: File[]) => void} accept
 * @returns {() => Promise<void>} opens the view-finder
 */
export function setUpCamera(accept) {
  const dialog = need("viewfinder", HTMLDialogElement);
  const video = need("viewfinder-video", HTMLVideoElement);
  const shoot = need("viewfinder-shoot", HTMLButtonElement);
  const problem = need("viewfinder-problem", HTMLParagraphElement);
  let count = 0;

  async function open() {
    say(problem, "");
    video.hidden = false;
    shoot.disabled = true;
    dialog.showModal();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 } } });
      if (!dialog.open) return stop(stream); // closed while the browser asked for permission
      video.srcObject = stream;
      await video.play();
      shoot.disabled = false;
      shoot.focus();
    } catch (error) {
      if (!dialog.open) return;
      video.hidden = true;
      say(problem, told(error));
    }
  }

  shoot.addEventListener("click", () => {
    const canvas = make("canvas", { width: String(video.videoWidth), height: String(video.videoHeight) });
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    dialog.close();
    canvas.toBlob((blob) => {
      if (blob) accept([new File([blob], `photo-${(count += 1)}.jpg`, { type: blob.type })]);
    }, "image/jpeg", 0.92);
  });
  need("viewfinder-close", HTMLButtonElement).addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => { // also by the Escape key
    if (video.srcObject instanceof MediaStream) stop(video.srcObject);
    video.srcObject = null;
  });
  return open;
}

/** @param {MediaStream} stream */
function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** @param {unknown} error */
function told(error) {
  return error instanceof DOMException && error.name === "NotAllowedError"
    ? "The browser does not let this page use the camera. Allow it beside the address, or choose a picture instead."
    : "The camera does not answer. Another program may be using it; close that one, or choose a picture instead.";
}
