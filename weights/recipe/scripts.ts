/** The writing system of a text, by its letters, as ISO 15924 codes. */

/** Tried in this order; a letter of any other script counts as `Zzzz`. */
const names = (
  "Latn Cyrl Arab Deva Hani Hira Kana Hang Grek Hebr Thai Ethi Beng Taml Telu Knda Mlym Gujr Guru Orya Sinh Mymr Khmr " +
  "Laoo Tibt Geor Armn Syrc Thaa Olck Mtei Nkoo Tfng Cans Cher Mong Java Bali Bugi Cakm Tale Talu Lana Tavt Copt Goth " +
  "Yiii Bopo Sund Sylo Limb Lepc Vaii Adlm Rohg Mand Samr Glag Runr Hmnp Newa Sora Wcho Nagm Kthi Takr Plrd"
).split(" ");

const scripts = names.map((name) => [name, new RegExp(`\\p{Script=${name}}`, "u")] as const);
const ofCharacter = new Map<string, string | undefined>();

/** @returns the script of one character if it is a letter that belongs to a single script */
function scriptOfCharacter(character: string): string | undefined {
  if (!ofCharacter.has(character)) {
    const script = /\p{L}/u.test(character) && !/\p{Script=Zyyy}/u.test(character);
    ofCharacter.set(character, script ? (scripts.find(([, test]) => test.test(character))?.[0] ?? "Zzzz") : undefined);
  }
  return ofCharacter.get(character);
}

/**
 * @returns the script that most letters of `text` are in, or undefined without letters. Han letters count for Japanese
 *   (`Jpan`) where there is kana, for Korean (`Kore`) where there is hangul, else for themselves (`Hani`)
 */
export function scriptOf(text: string): string | undefined {
  const counts = new Map<string, number>();
  for (const character of text) {
    const script = scriptOfCharacter(character);
    if (script) counts.set(script, (counts.get(script) ?? 0) + 1);
  }
  const fold = (to: string, ...from: string[]) => {
    if (!from.slice(1).some((script) => counts.has(script))) return;
    counts.set(
      to,
      from.reduce((sum, script) => sum + (counts.get(script) ?? 0), 0),
    );
    for (const script of from) counts.delete(script);
  };
  fold("Jpan", "Hani", "Hira", "Kana");
  fold("Kore", "Hani", "Hang");
  let [best, most]: [string | undefined, number] = [undefined, 0];
  for (const [script, count] of counts) if (count > most) [best, most] = [script, count];
  return best;
}

/** Whether a line in `script` may stand in a language written in `main`: Japanese and Korean also use Han letters alone. */
export function fits(script: string | undefined, main: string): boolean {
  return script === main || (script === "Hani" && (main === "Jpan" || main === "Kore"));
}
