/** ISO 639-3 codes of the languages that tasks name by two letters. */

const pairs =
  "ar ara bg bul bn ben ca cat da dan de deu el ell en eng es spa et est eu eus fr fra gu guj hi hin hr hrv ht hat hu hun hy hye id ind is isl it ita ja jpn jp jpn kn kan ko kor ml mal mr mar my mya nb nob ne nep nl nld pt por qu que ro ron ru rus sk slk sr srp sv swe sw swa ta tam te tel th tha tr tur uk ukr ur urd vi vie zh zho".split(
    " ",
  );

/** `et` → `est`; any other code, such as `acm_Arab`, stays as it is. */
export function iso3(code: string): string {
  const at = pairs.indexOf(code);
  return at >= 0 && at % 2 === 0 ? pairs[at + 1]! : code;
}
