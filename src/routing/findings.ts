/** What the tests of the claim say, in plain sentences, and what they do not. */
import type { Claim, Neighbours, Test, TestResult } from "./claim.ts";
import { pValue, scriptName } from "./figures/claim-chart.ts";

const plain: Omit<Test, "predictor"> = {
  controls: [],
  correlation: "spearman",
  metric: "js",
  layer: null,
  script: null,
  shuffled: false,
};

/** One sentence a finding; none of what could not be tested. */
export function findings({ tests, neighbours, languages, cophenetic }: Claim): string[] {
  const inScript = tests.find(({ script }) => script !== null)?.script ?? null;
  const find = (wanted: Partial<Test> & Pick<Test, "predictor">) =>
    tests.find((test) => {
      const { controls, ...rest } = { ...plain, ...wanted };
      const same = Object.entries(rest).every(([key, value]) => test[key as keyof Test] === value);
      return same && controls.join() === test.controls.join();
    });
  const score = (of: Neighbours["of"]) => neighbours.find((n) => n.of === of && n.layer === null && n.script === null);
  return [
    said(
      find({ predictor: "tree" }),
      "Languages nearer in the family tree pass more alike experts",
      "How near languages are in the family tree says nothing of their routing",
    ),
    said(
      find({ predictor: "script" }),
      "Languages of one script pass more alike experts",
      "Sharing a script says nothing of routing",
    ),
    said(
      find({ predictor: "tree", controls: ["script"] }),
      "With the part of script taken away, the family tree still goes with routing",
      "With the part of script taken away, nothing of the family tree is left",
    ),
    said(
      find({ predictor: "tree", controls: ["script", "place"] }),
      "With script and distance on the Earth taken away, the family tree still goes with routing",
      "With script and distance on the Earth taken away, nothing of the family tree is left",
    ),
    said(
      find({ predictor: "tree", script: inScript }),
      `Among languages in ${inScript === null ? "one" : scriptName(inScript)} script alone, the family tree goes with routing`,
      `Among languages in ${inScript === null ? "one" : scriptName(inScript)} script alone, the family tree says nothing of routing`,
    ),
    said(
      find({ predictor: "script", controls: ["tree"] }),
      "With the family tree taken away, script still goes with routing",
      "With the family tree taken away, nothing of script is left",
    ),
    said(
      find({ predictor: "tokens" }),
      "Languages that use the same tokens pass more alike experts",
      "Using the same tokens says nothing of routing",
    ),
    said(
      find({ predictor: "tree", controls: ["tokens"] }),
      "With the part of common tokens taken away, the family tree still goes with routing",
      "With the part of common tokens taken away, nothing of the family tree is left",
    ),
    said(
      find({ predictor: "tokens", controls: ["tree"] }),
      "With the family tree taken away, common tokens still go with routing",
      "With the family tree taken away, nothing of common tokens is left",
    ),
    strongest(tests, "script", "Script"),
    strongest(tests, "tree", "The family tree"),
    neighbour(score("family"), "family"),
    neighbour(score("genus"), "genus"),
    said(
      find({ predictor: "tree", shuffled: true }),
      "The control finds something where nothing is: distrust the others",
      "The control, with each language's family given to another one, finds nothing, as it must",
    ),
    cophenetic === null
      ? undefined
      : `The dendrogram keeps the distances with a cophenetic correlation of ${cophenetic.toFixed(2)}.`,
    languages.length < 30 ? `These are ${languages.length} languages: too few to tell much.` : undefined,
  ].filter((sentence) => sentence !== undefined);
}

/** Whether a correlation passes 5 % of chance, with its numbers. */
function said(test: TestResult | undefined, found: string, nothing: string): string | undefined {
  if (!test?.mantel) return undefined;
  const { r, p } = test.mantel;
  return `${p <= 0.05 ? found : nothing} (Mantel's r ${r.toFixed(3)}, p ${pValue(p)}, ${test.languages} languages).`;
}

/** In which layer one kind of distance goes most with routing, of those where its own test passes chance. */
function strongest(tests: readonly TestResult[], predictor: Test["predictor"], subject: string): string | undefined {
  const layers = tests.filter(
    (test) =>
      test.predictor === predictor &&
      test.layer !== null &&
      test.controls.length === 0 &&
      test.script === null &&
      test.correlation === plain.correlation &&
      test.metric === plain.metric &&
      !test.shuffled,
  );
  const tested = layers.flatMap(({ layer, mantel }) =>
    layer === null || mantel === null ? [] : [{ layer, ...mantel }],
  );
  const [most] = tested.toSorted((a, b) => b.r - a.r);
  if (!most || tested.length < 2 || most.p > 0.05) return undefined;
  const each = tested.map(({ layer, r }) => `${r.toFixed(3)} in layer ${layer}`);
  return `${subject} goes most with the routing of layer ${most.layer} (Mantel's r ${new Intl.ListFormat("en-GB").format(each)}).`;
}

function neighbour(neighbours: Neighbours | undefined, of: string): string | undefined {
  if (!neighbours?.score) return undefined;
  const { share, chance, scored, p } = neighbours.score;
  const percent = (part: number) => `${(100 * part).toFixed(0)} %`;
  return `For ${percent(share)} of the ${scored} languages with a relative here, the language that routes most alike is of their ${of}; by chance it would be ${percent(chance)} (p ${pValue(p)}).`;
}

/** What no number here shows. */
export const limits: readonly string[] = [
  "A correlation of distances tells that two patterns go together, not that one makes the other. Tokens are bytes merged by frequency: languages that share letters and words share tokens, and a gate that looks at nothing but tokens would show kinship too.",
  "Families, script and place go together in the world. The partial tests take away what a straight line on ranks explains of script, place or tokens, and no more.",
  "Each language counts once and each pair of languages once, so that large families weigh most; permutations shuffle whole languages, as if all were independent, which relatives are not.",
  "p is one-sided and for one test; of the many here, one in twenty would pass 0.05 by chance.",
  "Families and genera are those of WALS, trees those of CLDR's language groups without areal ones. Glottolog and URIEL, which the paper used for families and distances, could not be had.",
];
