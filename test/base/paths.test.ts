/** Where files live, for each combination of variables. */
import { expect, test } from "bun:test";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { places } from "../../src/base/paths.ts";

test("XDG defaults below the home folder", () => {
  expect(places({ HOME: "/home/a" })).toEqual({
    models: "/home/a/.local/share/lola/models",
    cache: "/home/a/.cache/lola",
    config: "/home/a/.config/lola",
  });
});

test("each XDG variable moves its own, if absolute", () => {
  const env = { HOME: "/home/a", XDG_DATA_HOME: "/data", XDG_CACHE_HOME: "relative", XDG_CONFIG_HOME: "" };
  expect(places(env)).toEqual({
    models: "/data/lola/models",
    cache: "/home/a/.cache/lola",
    config: "/home/a/.config/lola",
  });
});

test("LOLA_HOME moves all", () => {
  const env = { HOME: "/home/a", XDG_DATA_HOME: "/data", LOLA_HOME: "/big" };
  expect(places(env)).toEqual({ models: "/big/models", cache: "/big/cache", config: "/big/config" });
  expect(places({ LOLA_HOME: "here" }).models).toBe(resolve("here/models"));
});

test("without any variable the system's home folder counts", () => {
  expect(places({}).models).toBe(`${homedir()}/.local/share/lola/models`);
});
