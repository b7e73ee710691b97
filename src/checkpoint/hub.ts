/** The Hugging Face Hub protocol, as far as downloading a model needs it: what a revision holds, and bytes of a file from an offset on. */
import { setTimeout as sleep } from "node:timers/promises";
import { DataError, LolaError } from "../base/errors.ts";

export interface HubAccess {
  /** Without a trailing slash. */
  endpoint: string;
  token: string | undefined;
  /** How often a request without any progress is repeated. Default 5. */
  retries?: number;
  /** First pause before repeating, in ms; it doubles each time. Default 500. */
  pause?: number;
  /** Silence after which a connection counts as dead, in ms. Default 60,000. */
  patience?: number;
  signal?: AbortSignal;
}

/** Access as the environment has it: HF_ENDPOINT, and HF_TOKEN or HUGGING_FACE_HUB_TOKEN. */
export function hubAccess(env: Record<string, string | undefined> = process.env): HubAccess {
  return {
    endpoint: (env.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, ""),
    token: env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN || undefined,
  };
}

/** A file of a revision. */
export interface RemoteFile {
  name: string;
  bytes: number;
  /** What its content must hash to: SHA-256 of large files, git's blob hash of small ones. */
  hash: { algorithm: "sha256" | "git"; hex: string };
}

/**
 * The files of a revision, with the commit that it stands for.
 * @throws LolaError "usage" if there is no such repository or no right to see it; "failed" if the network gives up
 */
export async function listRemote(
  repository: string,
  revision: string,
  access: HubAccess,
): Promise<{ commit: string; files: Map<string, RemoteFile> }> {
  const url = `${access.endpoint}/api/models/${repository}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const answer = await persist(access, url, async (signal) => (await request(url, access, {}, signal)).json());
  const { sha, siblings } = answer as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== "string" || !/^[0-9a-f]{40,64}$/.test(sha) || !Array.isArray(siblings)) {
    throw new DataError("pull.answer", `${url} does not answer as a Hugging Face endpoint`, "check HF_ENDPOINT");
  }
  const files = new Map<string, RemoteFile>();
  for (const sibling of siblings) {
    const file = remoteFile(sibling);
    if (file) files.set(file.name, file);
  }
  return { commit: sha, files };
}

/** One entry of a listing; undefined if length or hash is not told, so that it cannot be checked. */
function remoteFile(entry: unknown): RemoteFile | undefined {
  const { rfilename: name, size, blobId, lfs } = (entry ?? {}) as Record<string, unknown>;
  const { sha256, size: largeSize } = (lfs ?? {}) as Record<string, unknown>;
  const bytes = largeSize ?? size;
  if (typeof name !== "string" || !Number.isSafeInteger(bytes) || (bytes as number) < 0) return undefined;
  const file = { name, bytes: bytes as number };
  if (typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256))
    return { ...file, hash: { algorithm: "sha256", hex: sha256 } };
  if (!lfs && typeof blobId === "string" && /^[0-9a-f]{40}$/.test(blobId))
    return { ...file, hash: { algorithm: "git", hex: blobId } };
  return undefined;
}

/** Where the bytes of a file go while they come in. */
export interface Sink {
  /** Bytes there are already. */
  readonly length: number;
  append(bytes: Uint8Array): void;
  /** Forgets all bytes: the server begins anew. */
  restart(): void;
}

/**
 * Fetches what `sink` still lacks of a file; a dropped connection goes on where it stopped.
 * @throws LolaError "failed" after too many tries without progress; DataError "pull.length" if more comes than the listing says
 */
export async function fetchInto(
  sink: Sink,
  repository: string,
  commit: string,
  file: RemoteFile,
  access: HubAccess,
): Promise<void> {
  const url = `${access.endpoint}/${repository}/resolve/${commit}/${encodeURIComponent(file.name)}`;
  let most = sink.length;
  while (sink.length < file.bytes) {
    await persist(
      access,
      url,
      async (signal, alive) => {
        const headers: Record<string, string> = sink.length > 0 ? { range: `bytes=${sink.length}-` } : {};
        const response = await request(url, access, headers, signal);
        const goesOn =
          response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${sink.length}-`);
        if (sink.length > 0 && !goesOn) sink.restart();
        for await (const piece of response.body ?? []) {
          alive();
          if (sink.length + piece.length > file.bytes) {
            sink.restart();
            throw new DataError("pull.length", `${url} sends more than the ${file.bytes} bytes it announced`);
          }
          sink.append(piece);
        }
        if (sink.length < file.bytes) throw new Error(`the connection ended at byte ${sink.length} of ${file.bytes}`);
      },
      () => sink.length > most && (most = sink.length) > 0,
    );
  }
}

class StatusError extends Error {
  constructor(
    readonly status: number,
    url: string,
    /** Seconds that the server asks to wait. */
    readonly after: number,
  ) {
    super(`${url} answers ${status}`);
  }
}

/** Repeats an action that the network broke, with growing pauses; progress starts the count anew. */
async function persist<T>(
  access: HubAccess,
  url: string,
  action: (signal: AbortSignal, alive: () => void) => Promise<T>,
  progressed: () => boolean = () => false,
): Promise<T> {
  const { retries = 5, pause = 500, patience = 60_000 } = access;
  for (let tries = 0; ; tries++) {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(new Error(`nothing came for ${patience / 1000} s`)), patience);
    const signal = access.signal ? AbortSignal.any([access.signal, silence.signal]) : silence.signal;
    try {
      return await action(signal, () => timer.refresh());
    } catch (error) {
      if (error instanceof LolaError || access.signal?.aborted) throw error;
      const refused = error instanceof StatusError ? refusal(error, url, access) : undefined;
      if (refused) throw refused;
      if (progressed()) tries = 0;
      if (tries >= retries) {
        const reason = silence.signal.aborted ? silence.signal.reason : error;
        throw new LolaError(
          "failed",
          `${url}: ${(reason as Error).message} (${tries + 1} tries)`,
          "the same command again: it goes on where it stopped",
          {
            cause: error,
          },
        );
      }
      const wait = Math.max(pause * 2 ** tries, error instanceof StatusError ? Math.min(error.after, 300) * 1000 : 0);
      await sleep(wait, undefined, access.signal ? { signal: access.signal } : {});
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Answers that no repetition changes. */
function refusal({ status }: StatusError, url: string, access: HubAccess): LolaError | undefined {
  if (status === 401 || status === 403) {
    const hint = access.token ? "a token that may read this repository" : "export HF_TOKEN=…, or check the name";
    return new LolaError("failed", `${url}: access refused (${status})`, hint);
  }
  if (status === 404) return new LolaError("usage", `${url} does not exist`, "check the name and the revision");
  if (status >= 400 && status < 500 && status !== 408 && status !== 429)
    return new LolaError("failed", `${url} answers ${status}`);
  return undefined;
}

/** One GET with redirects followed; the token goes to the endpoint itself only. */
async function request(
  start: string,
  access: HubAccess,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Response> {
  let url = new URL(start);
  const home = url.origin;
  for (let hops = 0; hops <= 5; hops++) {
    const response = await fetch(url, {
      redirect: "manual",
      signal,
      headers: {
        ...headers,
        "accept-encoding": "identity",
        "user-agent": "lola",
        ...(access.token && url.origin === home ? { authorization: `Bearer ${access.token}` } : {}),
      },
    });
    const target = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || !target) {
      if (response.status === 200 || response.status === 206) return response;
      throw new StatusError(response.status, url.href, Number(response.headers.get("retry-after")) || 0);
    }
    const next = new URL(target, url);
    if (url.protocol === "https:" && next.protocol !== "https:") {
      throw new LolaError(
        "failed",
        `${url.origin} redirects to ${next.protocol}//${next.host}, which is not encrypted`,
      );
    }
    url = next;
  }
  throw new LolaError("failed", `${start} redirects more than 5 times`);
}
