/** import, export, pull, models and tokenizer as commands: what is written where, and what they print. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "../../src/base/hash.ts";
import { environment, home, lola, root } from "./lola.ts";

const published = join(root, "../shared/fixtures/tiny-lola");
const models = join(environment().LOLA_HOME!, "models");
const file = join(home, "tiny.lola");
const json = async (...args: string[]) => JSON.parse((await lola([...args, "--json"])).out);

describe("import, show, verify, export", () => {
  test("a folder becomes a file that holds the same, and goes back bit for bit", async () => {
    const imported = await json("import", published, "-o", file, "--force");
    expect(imported).toMatchObject({ path: file, converted: 0, losses: [], file_bytes: statSync(file).size });
    const { identity } = imported;
    expect(await json("models", "verify", file)).toMatchObject({ identity, hashes: true });
    expect(await json("models", "verify", published)).toMatchObject({ identity, hashes: false });

    const { model } = await json("models", "show", file);
    expect(model.config).toMatchObject({ width: 32, layers: 4, experts: 16, vocabulary: 1024, context: 64 });
    expect(model.parameters.total).toBe(337_280);
    expect(model.tensors[0]).toMatchObject({ type: "f32" });

    const folder = join(home, "back");
    await lola(["export", file, "-o", folder]);
    expect(await json("models", "verify", folder)).toMatchObject({ identity });
    const ids = (dir: string) => json("tokenizer", "encode", "-m", dir, "Tous les êtres humains ไทย 👋");
    expect(await ids(folder)).toEqual(await ids(published));
  });

  test("without -o it goes to the folder of models, under a name that -m, path and rm know", async () => {
    expect((await lola(["import", published, "--force"])).code).toBe(0);
    expect((await lola(["models", "list", "--names"])).out.split("\n")).toContain("tiny-lola");
    expect((await lola(["models", "path", "tiny-lola"])).out).toBe(`${join(models, "tiny-lola.lola")}\n`);
    expect((await lola(["tokenizer", "encode", "-m", "tiny-lola", "a"])).code).toBe(0);
    expect((await lola(["models", "rm", "tiny-lola"])).code).toBe(0);
    expect(existsSync(join(models, "tiny-lola.lola"))).toBe(false);
    expect(await lola(["models", "rm", "tiny-lola"])).toMatchObject({ code: 2, out: "" });
    expect(await lola(["models", "path", "tiny-lola"])).toMatchObject({ code: 2, out: "" });
  });

  test("a file that exists is replaced only with --force", async () => {
    await lola(["import", published, "-o", file, "--force"]);
    expect(await lola(["import", published, "-o", file])).toMatchObject({ code: 2, out: "" });
  });

  test("a narrower type tells what is not exact", async () => {
    const report = await json("import", published, "-o", file, "--force", "--dtype", "f16");
    expect(report.converted).toBeGreaterThan(0);
    expect(report.losses[0].inexact).toBeGreaterThan(0);
    const { out } = await lola(["import", published, "-o", file, "--force", "--dtype", "f16"]);
    expect(out).toMatch(/tensors changed type, \d+ not exactly:/);
    expect(out).toContain("% ");
    expect(out).toContain("and ");
  });

  test("damage is found and named, exit 3", async () => {
    await lola(["import", published, "-o", file, "--force"]);
    const bytes = readFileSync(file);
    bytes[bytes.length - 400]! ^= 1;
    writeFileSync(file, bytes);
    const ran = await lola(["models", "verify", file]);
    expect(ran).toMatchObject({ code: 3, out: "" });
    expect(ran.err).toStartWith(`lola: ${file}`);
  });
});

describe("pull", () => {
  const commit = "a".repeat(40);
  const names = readdirSync(published).filter((name) => !/^(expected|encodings)/.test(name));
  const content = (name: string) => readFileSync(join(published, name));
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/api/models/me/tiny/revision/main") {
        const siblings = names.map((rfilename) => {
          const bytes = content(rfilename);
          return { rfilename, size: bytes.length, lfs: { sha256: sha256(bytes), size: bytes.length } };
        });
        return Response.json({ sha: commit, siblings });
      }
      const name = names.find((n) => pathname === `/me/tiny/resolve/${commit}/${n}`);
      return name ? new Response(content(name)) : new Response("", { status: 404 });
    },
  });
  afterAll(() => server.stop(true));
  const env = { HF_ENDPOINT: `http://127.0.0.1:${server.port}` };

  test("downloads, checks, imports; the model is then known by its name", async () => {
    const ran = await lola(["pull", "me/tiny", "--json"], { env });
    expect(ran).toMatchObject({ code: 0, err: "" });
    const { commit: pulled, imported } = JSON.parse(ran.out);
    expect(pulled).toBe(commit);
    expect(await json("models", "verify", "tiny")).toMatchObject({ identity: imported.identity });
    const { model } = await json("models", "show", "tiny");
    expect(model.provenance.from).toBe(`me/tiny@${commit}`);
    expect((await lola(["pull", "me/tiny", "--force"], { env })).out).toContain("0 B of it fetched now");
  });

  test("an unknown repository or a bad name is misuse", async () => {
    expect(await lola(["pull", "me/none"], { env })).toMatchObject({ code: 2, out: "" });
    expect(await lola(["pull", "../etc"], { env })).toMatchObject({ code: 2, out: "" });
  });
});

describe("tokenizer", () => {
  const text = "All human beings\n  naïve ไทย 👩‍👩‍👧\r\n\t'll";

  test("encode | decode gives the bytes back, and one id a line counts tokens", async () => {
    const encoded = await lola(["tokenizer", "encode", "-m", published], { stdin: text });
    expect(encoded.out).toMatch(/^(\d+\n)+$/);
    const decoded = await lola(["tokenizer", "decode", "-m", published], { stdin: encoded.out });
    expect(decoded).toEqual({ code: 0, out: text, err: "" });
    expect((await json("tokenizer", "encode", "-m", published, text)).ids.join("\n")).toBe(encoded.out.trim());
  });

  test("special tokens are cut out of text unless --no-specials", async () => {
    const ids = async (...args: string[]) => (await json("tokenizer", "encode", "-m", published, ...args)).ids;
    expect(await ids("<|endoftext|>")).toEqual([5]);
    expect((await ids("<|endoftext|>", "--no-specials")).length).toBeGreaterThan(1);
  });

  test("ids that are none, or that have no token, are misuse", async () => {
    for (const bad of ["x", "1000", "-1"]) {
      expect(await lola(["tokenizer", "decode", "-m", published, "--", bad])).toMatchObject({ code: 2, out: "" });
    }
  });

  test("info tells size and roles", async () => {
    const info = await json("tokenizer", "info", "-m", published);
    expect(info).toMatchObject({ tokens: 1000, vocabulary: 1024 });
    expect(info.specials).toContainEqual({ id: 5, content: "<|endoftext|>", role: "eos_token" });
  });
});
