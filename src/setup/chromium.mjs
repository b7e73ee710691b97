/** A browser for the tests of pages: Chromium or Chrome, installed with apt where that is possible. */
import { existsSync } from "node:fs";
import { aptInstall, canInstall } from "./apt.mjs";
import { findProgram, say } from "./process.mjs";

const programs = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const elsewhere = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/** Path of a browser on this machine, or undefined. */
export function findChromium() {
  return findProgram(...programs) ?? elsewhere.find(existsSync);
}

/** Finds a browser, or installs one. @throws Error with one line that says what to install */
export async function needChromium() {
  if (!findChromium() && canInstall()) {
    say("installing Chromium");
    await aptInstall(["chromium"]).catch((error) => say(error.message));
  }
  if (!findChromium())
    throw new Error("the tests of pages need a browser: install Chromium (Debian: apt install chromium)");
}
