/** The tasks that ship: prompts of lm-evaluation-harness (https://github.com/EleutherAI/lm-evaluation-harness, MIT), without data. */
import arc from "./yaml/arc.yaml" with { type: "text" };
import belebele from "./yaml/belebele.yaml" with { type: "text" };
import hellaswag from "./yaml/hellaswag.yaml" with { type: "text" };
import lambada from "./yaml/lambada.yaml" with { type: "text" };
import mMmlu from "./yaml/m_mmlu.yaml" with { type: "text" };
import mgsmDirect from "./yaml/mgsm_direct.yaml" with { type: "text" };
import mgsmNativeCot from "./yaml/mgsm_native_cot.yaml" with { type: "text" };
import paws from "./yaml/paws.yaml" with { type: "text" };
import truthfulqa from "./yaml/truthfulqa.yaml" with { type: "text" };
import xcopa from "./yaml/xcopa.yaml" with { type: "text" };
import xnli from "./yaml/xnli.yaml" with { type: "text" };
import xstorycloze from "./yaml/xstorycloze.yaml" with { type: "text" };
import xwinograd from "./yaml/xwinograd.yaml" with { type: "text" };

/** The YAML of each family of tasks, by the name that stands for all of its languages. */
export const shipped: Readonly<Record<string, string>> = {
  xcopa,
  xnli,
  xwinograd,
  belebele,
  xstorycloze,
  arc,
  hellaswag,
  m_mmlu: mMmlu,
  truthfulqa,
  lambada_openai_mt_stablelm: lambada,
  mgsm_direct: mgsmDirect,
  mgsm_native_cot: mgsmNativeCot,
  paws,
};
