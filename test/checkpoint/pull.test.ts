/** Downloading from a local endpoint that misbehaves: drops connections, flips bytes, redirects, asks for tokens. */
import { afterAll, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LolaError } from "../../src/base/errors.ts";
import { type HubAccess, hubAccess } from "../../src/checkpoint/hub.ts";
import { openModel } from "../../src/checkpoint/open.ts";
import { pullModel } from "../../src/checkpoint/pull.ts";
import { parseTokenizer, publish, publishedTensors } from "./published.ts";

const root = mkdtempSync(join(tmpdir(), "lola-pull-"));
const commit = "c0ffee".padEnd(40, "0");
const published = publish(join(root, "published"), { shards: 2 });
writeFileSync(join(published, "pytorch_model.bin"), "never fetched");
writeFileSync(join(published, "README.md"), "never fetched");
const files = new Map(readdirSync(published).map((name) => [name, readFileSync(join(published, name))]));
const weights = [...files.keys()].filter((name) => name.endsWith(".safetensors"));

/** How the server behaves, and what it saw. */
interface Server {
  /** Drops a file's connection after so many bytes of an answer, so many times. */
  drop: Map<string, { after: number; times: number; silently?: boolean }>;
  /** Flips one byte of a file, so many times. */
  flip: Map<string, number>;
  /** Answers this status first, so many times. */
  busy: { status: number; times: number };
  ignoreRange: boolean;
  listing: (siblings: Record<string, unknown>[]) => unknown[];
  seen: { path: string; range: string | null; authorization: string | null }[];
}
let server: Server;
beforeEach(() => {
  server = {
    drop: new Map(),
    flip: new Map(),
    busy: { status: 503, times: 0 },
    ignoreRange: false,
    listing: (all) => all,
    seen: [],
  };
});

/** Large files live on another host, as they do at Hugging Face; this one speaks plain TCP, so that it can hang up in mid-answer. */
const storage = Bun.listen({
  port: 0,
  hostname: "127.0.0.1",
  socket: {
    async data(socket, data) {
      const [line, ...fields] = data.toString().trimEnd().split("\r\n");
      const headers = fields.map((field) => field.split(": ") as [string, string]);
      const request = new Request(`http://storage${line!.split(" ")[1]}`, { headers });
      const answer = serve(request);
      const body = await answer.bytes();
      const drop = server.drop.get(new URL(request.url).pathname.split("/").at(-1)!);
      const dropped = drop !== undefined && drop.times-- > 0;
      const head = [
        `HTTP/1.1 ${answer.status} OK`,
        `content-length: ${body.length}`,
        ...Array.from(answer.headers, (pair) => pair.join(": ")),
      ];
      socket.write(`${head.join("\r\n")}\r\n\r\n`);
      socket.write(dropped ? body.subarray(0, drop.after) : body);
      if (!dropped || drop.silently) return;
      await Bun.sleep(5);
      socket.terminate();
    },
  },
});
const hub = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (server.busy.times-- > 0) return new Response("busy", { status: server.busy.status });
    if (pathname.startsWith("/api/models/")) {
      note(request);
      if (pathname !== "/api/models/owner/name/revision/main") return new Response("not found", { status: 404 });
      return Response.json({ sha: commit, siblings: server.listing(siblings()) });
    }
    const name = pathname.split("/").at(-1)!;
    if (!weights.includes(name)) return serve(request);
    note(request);
    return new Response(null, { status: 302, headers: { location: `http://127.0.0.1:${storage.port}${pathname}` } });
  },
});
afterAll(async () => {
  await hub.stop(true);
  storage.stop(true);
  rmSync(root, { recursive: true });
});

function note(request: Request): void {
  const { headers } = request;
  server.seen.push({
    path: new URL(request.url).pathname,
    range: headers.get("range"),
    authorization: headers.get("authorization"),
  });
}

function siblings(): Record<string, unknown>[] {
  return [...files].map(([rfilename, bytes]) => {
    const git = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
    if (!weights.includes(rfilename)) return { rfilename, size: bytes.length, blobId: git };
    return {
      rfilename,
      size: bytes.length,
      blobId: "0".repeat(40),
      lfs: { sha256: createHash("sha256").update(bytes).digest("hex"), size: bytes.length, pointerSize: 134 },
    };
  });
}

function serve(request: Request): Response {
  note(request);
  const name = new URL(request.url).pathname.split("/").at(-1)!;
  let content = Uint8Array.from(files.get(name)!);
  const flips = server.flip.get(name) ?? 0;
  if (flips > 0) {
    server.flip.set(name, flips - 1);
    content[content.length >> 1]! ^= 1;
  }
  const start = server.ignoreRange ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
  const status = start > 0 ? 206 : 200;
  const headers: Record<string, string> =
    start > 0 ? { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` } : {};
  content = content.subarray(start);
  return new Response(content, { status, headers });
}

let counter = 0;
const fresh = () => join(root, `pulled-${counter++}`);
const access = (more: Partial<HubAccess> = {}): HubAccess => ({
  endpoint: `http://127.0.0.1:${hub.port}`,
  token: undefined,
  pause: 1,
  retries: 2,
  patience: 2000,
  ...more,
});
const failure = async (action: Promise<unknown>): Promise<LolaError> => {
  const error = await action.then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(LolaError);
  return error;
};

test("what an import needs, and nothing else", async () => {
  const folder = fresh();
  const report = await pullModel("owner/name", folder, access());
  expect(report.commit).toBe(commit);
  expect(readdirSync(folder).sort()).toEqual(
    ["config.json", "lola-origin.json", "model.safetensors.index.json", "tokenizer.json", ...weights].sort(),
  );
  for (const { name, bytes, fetched } of report.files) {
    expect([bytes, fetched]).toEqual([files.get(name)!.length, files.get(name)!.length]);
    expect(Buffer.compare(readFileSync(join(folder, name)), files.get(name)!)).toBe(0);
  }
  const model = openModel(folder, parseTokenizer);
  expect(model.tensors.size).toBe(publishedTensors().length);
  expect(model.provenance.from).toBe(`owner/name@${commit}`);

  const again = await pullModel("owner/name", folder, access());
  expect(again.files.every(({ fetched }) => fetched === 0)).toBe(true);
});

test("dropped connections go on where they stopped", async () => {
  const [name] = weights;
  const size = files.get(name!)!.length;
  server.drop.set(name!, { after: 1000, times: 4 });
  const folder = fresh();
  const report = await pullModel("owner/name", folder, access());
  expect(report.files.find((file) => file.name === name)!.fetched).toBe(size);
  expect(Buffer.compare(readFileSync(join(folder, name!)), files.get(name!)!)).toBe(0);
  const ranges = server.seen.filter(({ path, range }) => path.endsWith(name!) && range).map(({ range }) => range);
  expect(ranges).toContain("bytes=1000-");
  expect(ranges).toContain("bytes=4000-");
});

test("a connection that falls silent counts as dropped", async () => {
  const [name] = weights;
  server.drop.set(name!, { after: 1000, times: 1, silently: true });
  const folder = fresh();
  await pullModel("owner/name", folder, access({ patience: 50 }));
  expect(Buffer.compare(readFileSync(join(folder, name!)), files.get(name!)!)).toBe(0);
});

test("a run that gave up is gone on with by the next", async () => {
  const [name] = weights;
  const folder = fresh();
  mkdirSync(folder);
  writeFileSync(join(folder, `${name}.part`), files.get(name!)!.subarray(0, 700));
  const report = await pullModel("owner/name", folder, access());
  expect(report.files.find((file) => file.name === name)!.fetched).toBe(files.get(name!)!.length - 700);
  expect(existsSync(join(folder, `${name}.part`))).toBe(false);
});

test("a server without ranges starts anew", async () => {
  const [name] = weights;
  server.ignoreRange = true;
  server.drop.set(name!, { after: 1000, times: 1 });
  const folder = fresh();
  await pullModel("owner/name", folder, access());
  expect(Buffer.compare(readFileSync(join(folder, name!)), files.get(name!)!)).toBe(0);
});

test("a flipped byte is noticed by the hash, and only that file fetched again", async () => {
  const name = weights[1]!;
  server.flip.set(name, 1);
  server.flip.set("config.json", 1);
  const folder = fresh();
  const report = await pullModel("owner/name", folder, access());
  for (const { name: file, bytes, fetched } of report.files) {
    expect(fetched).toBe(file === name || file === "config.json" ? 2 * bytes : bytes);
    expect(Buffer.compare(readFileSync(join(folder, file)), files.get(file)!)).toBe(0);
  }
});

test("a damaged partial file is noticed too", async () => {
  const [name] = weights;
  const folder = fresh();
  mkdirSync(folder);
  writeFileSync(join(folder, `${name}.part`), new Uint8Array(500));
  await pullModel("owner/name", folder, access());
  expect(Buffer.compare(readFileSync(join(folder, name!)), files.get(name!)!)).toBe(0);
});

test("bytes that stay wrong are an error and never become the file", async () => {
  server.flip.set("config.json", 100);
  const folder = fresh();
  expect(await failure(pullModel("owner/name", folder, access()))).toMatchObject({ code: "pull.hash" });
  expect(existsSync(join(folder, "config.json"))).toBe(false);
});

test("a file whose hash is not told is not taken", async () => {
  server.listing = (all) => all.map(({ blobId: _, ...rest }) => rest);
  expect(await failure(pullModel("owner/name", fresh(), access()))).toMatchObject({ code: "weights.missing" });
});

test("more bytes than announced are refused", async () => {
  server.listing = (all) => all.map((entry) => (entry.rfilename === "config.json" ? { ...entry, size: 10 } : entry));
  expect(await failure(pullModel("owner/name", fresh(), access()))).toMatchObject({ code: "pull.length" });
});

test("a busy server is asked again, a dead one reported", async () => {
  server.busy = { status: 503, times: 2 };
  await pullModel("owner/name", fresh(), access());
  server.busy = { status: 500, times: 100 };
  expect(await failure(pullModel("owner/name", fresh(), access()))).toMatchObject({ kind: "failed" });
  const nobody = access({ endpoint: "http://127.0.0.1:1" });
  expect(await failure(pullModel("owner/name", fresh(), nobody))).toMatchObject({ kind: "failed" });
});

test("who cancels does not wait for the next try", async () => {
  server.busy = { status: 503, times: 100 };
  const cancel = new AbortController();
  const pull = pullModel("owner/name", fresh(), access({ pause: 60_000, signal: cancel.signal }));
  setTimeout(() => cancel.abort(), 20);
  await expect(pull).rejects.toMatchObject({ name: "AbortError" });
});

test("an unknown repository and a missing right are told at once", async () => {
  expect(await failure(pullModel("owner/other", fresh(), access()))).toMatchObject({ kind: "usage" });
  server.busy = { status: 401, times: 1 };
  expect((await failure(pullModel("owner/name", fresh(), access()))).hint).toContain("HF_TOKEN");
});

test("an endpoint that is none, redirects in a circle, and a folder that cannot be", async () => {
  server.listing = () => undefined as unknown as unknown[];
  expect(await failure(pullModel("owner/name", fresh(), access()))).toMatchObject({ code: "pull.answer" });
  server.listing = (all) => all;
  const circle = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: ({ url }) => Response.redirect(url) });
  const lost = access({ endpoint: `http://127.0.0.1:${circle.port}` });
  expect((await failure(pullModel("owner/name", fresh(), lost))).message).toContain("redirects more than 5 times");
  await circle.stop(true);
  expect(await failure(pullModel("owner/name", join(published, "README.md", "x"), access()))).toMatchObject({
    kind: "failed",
  });
});

test("only pickle weights: refused before anything is fetched", async () => {
  server.listing = (all) => all.filter(({ rfilename }) => !String(rfilename).includes("safetensors"));
  expect(await failure(pullModel("owner/name", fresh(), access()))).toMatchObject({ code: "weights.pickle" });
  expect(server.seen).toHaveLength(1);
});

test("the token goes to the endpoint and to no other host", async () => {
  await pullModel("owner/name", fresh(), access({ token: "hf_secret" }));
  const toHub = server.seen.filter(({ authorization }) => authorization === "Bearer hf_secret");
  const without = server.seen.filter(({ authorization }) => authorization === null);
  expect(toHub.length).toBeGreaterThan(4);
  expect(without.map(({ path }) => path.split("/").at(-1)).sort()).toEqual([...weights].sort() as string[]);
});

test("names that a server makes up cannot leave the folder", async () => {
  const bytes = Buffer.from(JSON.stringify({ weight_map: { a: "../escape.safetensors" } }));
  files.set("model.safetensors.index.json", bytes);
  try {
    expect(await failure(pullModel("owner/name", fresh(), access()))).toMatchObject({ code: "index.name" });
  } finally {
    files.set("model.safetensors.index.json", readFileSync(join(published, "model.safetensors.index.json")));
  }
});

test("access as the environment has it", () => {
  expect(hubAccess({})).toEqual({ endpoint: "https://huggingface.co", token: undefined });
  expect(hubAccess({ HF_ENDPOINT: "http://mirror/", HUGGING_FACE_HUB_TOKEN: "b" })).toEqual({
    endpoint: "http://mirror",
    token: "b",
  });
  expect(hubAccess({ HF_TOKEN: "a", HUGGING_FACE_HUB_TOKEN: "b" }).token).toBe("a");
});
