/** Where files live: XDG folders, all of them moved by LOLA_HOME. */
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

export interface Places {
  /** Models by name: `NAME.lola`, and `hub/OWNER/NAME` for downloaded folders. */
  models: string;
  /** What can be made again at any time. */
  cache: string;
  /** Settings of the user. */
  config: string;
}

/**
 * The folders of this user; none is created here.
 * `LOLA_HOME` moves all of them; else each follows its XDG variable, which counts only if absolute (XDG Base Directory 0.8).
 */
export function places(env: Record<string, string | undefined> = process.env): Places {
  if (env.LOLA_HOME) {
    const home = resolve(env.LOLA_HOME);
    return { models: join(home, "models"), cache: join(home, "cache"), config: join(home, "config") };
  }
  const home = env.HOME || homedir();
  const xdg = (name: string, fallback: string) => {
    const value = env[name];
    return join(value && isAbsolute(value) ? value : join(home, fallback), "lola");
  };
  return {
    models: join(xdg("XDG_DATA_HOME", ".local/share"), "models"),
    cache: xdg("XDG_CACHE_HOME", ".cache"),
    config: xdg("XDG_CONFIG_HOME", ".config"),
  };
}
