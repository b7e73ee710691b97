/** A page in headless Chromium, over its DevTools protocol: what it says, asks for, shows; keys pressed. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findChromium } from "../src/setup/chromium.mjs";

const flags = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--remote-debugging-port=0"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1240,900"],
];

type Fields = Record<string, unknown>;

export class Browser implements AsyncDisposable {
  /** Errors and warnings of the console, and exceptions. */
  readonly problems: string[] = [];
  /** Addresses that the page asked for, itself among them. */
  readonly requests: string[] = [];
  #session: string | undefined;
  #last = 0;
  readonly #waiting = new Map<number, (answer: { result: Fields; error?: { message: string } }) => void>();
  readonly #heard: ((method: string) => void)[] = [];

  private constructor(
    private readonly process: Bun.Subprocess,
    private readonly folder: string,
    private readonly socket: WebSocket,
  ) {
    socket.addEventListener("message", ({ data }) => this.#hear(JSON.parse(String(data))));
  }

  /** Starts a browser and opens a file in it. */
  static async open(path: string): Promise<Browser> {
    const program = findChromium();
    if (!program) throw new Error("no Chromium on this machine: npm test installs it where it can");
    const folder = mkdtempSync(join(tmpdir(), "lola-browser-"));
    const child = Bun.spawn([program, ...flags, `--user-data-dir=${folder}`, "about:blank"], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const socket = new WebSocket(await addressOf(child.stderr));
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    });
    const browser = new Browser(child, folder, socket);
    const { targetId } = await browser.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await browser.send("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = sessionId as string;
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await browser.send(`${domain}.enable`);
    const loaded = new Promise<void>((resolve) => browser.#heard.push((m) => m === "Page.loadEventFired" && resolve()));
    await browser.send("Page.navigate", { url: Bun.pathToFileURL(path).href });
    await loaded;
    return browser;
  }

  /** Asks for something by the protocol. */
  send(method: string, params: Fields = {}): Promise<Fields> {
    const id = ++this.#last;
    const answered = new Promise<Fields>((resolve, reject) =>
      this.#waiting.set(id, ({ result, error }) =>
        error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result),
      ),
    );
    this.socket.send(JSON.stringify({ id, method, params, ...(this.#session ? { sessionId: this.#session } : {}) }));
    return answered;
  }

  /** The value of an expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  }

  /** Presses keys, one after the other: "Tab", "ArrowDown", "Enter". */
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) {
      const windowsVirtualKeyCode = { Tab: 9, Enter: 13, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40 }[
        key
      ];
      const text = key === "Enter" ? { text: "\r" } : {};
      const event = { key, code: key, windowsVirtualKeyCode, ...text };
      await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...event });
      await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close();
    this.process.kill("SIGKILL");
    await this.process.exited;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #hear(message: { id?: number; method?: string; params?: Fields; result: Fields; error?: { message: string } }): void {
    if (message.id !== undefined) {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
      return;
    }
    const { method = "", params = {} } = message;
    if (method === "Network.requestWillBeSent") this.requests.push((params.request as { url: string }).url);
    if (method === "Runtime.exceptionThrown" || method === "Log.entryAdded") this.problems.push(JSON.stringify(params));
    if (method === "Runtime.consoleAPICalled") this.problems.push(JSON.stringify(params.args));
    for (const hear of this.#heard) hear(method);
  }
}

/** Where the browser listens, as it says on stderr. */
async function addressOf(stderr: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const part of stderr) {
    text += new TextDecoder().decode(part);
    const address = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
    if (address) return address;
  }
  throw new Error(`Chromium did not start: ${text.trim()}`);
}
