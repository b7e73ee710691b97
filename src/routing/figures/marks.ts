/** How a language or an expert is marked: a colour and a shape, so that neither eye nor print needs the colour. */
import { palette } from "../../base/page.ts";
import { at, ink, words } from "./figure.ts";

export interface Mark {
  name: string;
  colour: string;
  /** Path around (0, 0). */
  shape: string;
}

/** Seven outlines of about the same area, told apart at 8 pixels. */
const shapes = [
  "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
  "M0-5L4.8 3.6H-4.8Z",
  "M-3.6-3.6H3.6V3.6H-3.6Z",
  "M0-5L5 0L0 5L-5 0Z",
  "M0 5L4.8-3.6H-4.8Z",
  "M-1.6-4.8H1.6V-1.6H4.8V1.6H1.6V4.8H-1.6V1.6H-4.8V-1.6H-1.6Z",
  "M0-5L4.8-1.5L2.9 4H-2.9L-4.8-1.5Z",
] as const;

/** For things that stand alone. */
const alone: Omit<Mark, "name"> = { colour: "#8a8a8a", shape: "M-2.6 0a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0-5.2 0Z" };

/** Things by a property of theirs: the marks in use, and which each thing has. */
export interface Marking {
  marks: readonly Mark[];
  /** Index in `marks` of each thing. */
  of: readonly number[];
}

/**
 * A mark for every group of two or more, the largest group first; what stands alone, or is not known, shares the last mark.
 * @param groups of each thing its group's name; undefined where it is not known
 */
export function marking(groups: readonly (string | undefined)[]): Marking {
  const sizes = new Map<string, number>();
  for (const group of groups) if (group !== undefined) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  const names = [...sizes]
    .filter(([, size]) => size > 1)
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, palette.length * shapes.length)
    .map(([name]) => name);
  const marks = names.map((name, i) => ({ name, ...markOf(i) }));
  const of = groups.map((group) =>
    group === undefined || !names.includes(group) ? marks.length : names.indexOf(group),
  );
  return { marks: of.includes(marks.length) ? [...marks, { name: "others", ...alone }] : marks, of };
}

/** Colours by turns; each next turn moves the shapes by one, so that no two marks are the same. */
function markOf(i: number): Omit<Mark, "name"> {
  const turn = Math.floor(i / palette.length);
  return { colour: palette[i % palette.length]!, shape: shapes[((i % palette.length) + turn) % shapes.length]! };
}

/** Marks for things in order, such as layers: from violet over green to orange, shapes by turns. */
export function orderedMarks(names: readonly string[]): Mark[] {
  return names.map((name, i) => ({
    name,
    colour: between(names.length > 1 ? i / (names.length - 1) : 0),
    shape: shapes[i % shapes.length]!,
  }));
}

const stops = [
  [112, 84, 196],
  [38, 128, 190],
  [24, 150, 120],
  [140, 164, 40],
  [230, 150, 0],
] as const;

/** 0 … 1; its lightness rises, all of it to be seen on white and in the dark. */
function between(part: number): string {
  const place = part * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  const [from, to] = [stops[low]!, stops[low + 1]!];
  const mix = (k: 0 | 1 | 2) => Math.round(from[k] + (to[k] - from[k]) * (place - low));
  return `rgb(${mix(0)},${mix(1)},${mix(2)})`;
}

/** A mark in a place. @param more attributes, such as the thing's number */
export function drawn({ colour, shape }: Mark, x: number, y: number, more = ""): string {
  return `<path${more && ` ${more}`} transform="translate(${at(x)} ${at(y)})" d="${shape}" fill="${colour}"/>`;
}

/** Pixels between a legend's names; a page's script lays legends out by the same. */
const column = 180;
const line = 17;

/** Names of marks in columns. @returns markup, and its height */
export function legend(marks: readonly Mark[], x: number, y: number, width: number): { body: string; height: number } {
  const columns = Math.max(1, Math.floor(width / column));
  const items = marks.map((mark, i) => {
    const [left, top] = [x + (i % columns) * column, y + Math.floor(i / columns) * line];
    return drawn(mark, left + 6, top + 8) + words(mark.name, left + 16, top + 12, { paint: ink });
  });
  return {
    body: `<g class="key" data-x="${x}" data-y="${y}" data-columns="${columns}">${items.join("")}</g>`,
    height: Math.ceil(marks.length / columns) * line,
  };
}
