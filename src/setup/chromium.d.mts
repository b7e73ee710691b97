/** Types of `chromium.mjs`, which Node runs as it is. */

export function findChromium(): string | undefined;
export function needChromium(): Promise<void>;
