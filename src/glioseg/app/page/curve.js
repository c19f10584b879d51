// Volumes over time as a line chart.

import { h, svg } from "./dom.js";
import { date, t, volumeWords, when } from "./texts.js";

const WIDTH = 640;
const HEIGHT = 190;
const EDGE = { left: 52, right: 70, top: 14, bottom: 26 };

/** The chart of `[{id, date, volumes_ml, unit}]`, a line per region; the time points `ids` are marked. */
export function curve(all, regions, ids) {
  const unit = all.find(({ id }) => id === ids[0])?.unit;
  const times = all.filter((own) => own.unit === unit);
  if (times.length < 2) return h("p", { class: "muted" }, t("compare.none"));
  const byDay = times.every((own) => Number.isInteger(own.study_day));
  const timeOf = (own) => (byDay ? own.study_day : Date.parse(own.date));
  const known = [...times].sort((a, b) => timeOf(a) - timeOf(b));
  const at = known.map(timeOf);
  const span = at.at(-1) - at[0] || 1;
  const top = Math.max(...known.flatMap(({ volumes_ml: own }) => Object.values(own)), 1e-3) * 1.08;
  const x = (time) => EDGE.left + ((time - at[0]) / span) * (WIDTH - EDGE.left - EDGE.right);
  const y = (ml) => HEIGHT - EDGE.bottom - (ml / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const name = byDay ? when : (own) => date(own.date);
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words(known, regions, name) });
  for (const share of [0, 0.5, 1]) {
    picture.append(line("axis", EDGE.left, y(top * share), WIDTH - EDGE.right, y(top * share)));
    picture.append(text(EDGE.left - 6, y(top * share) + 4, volumeWords(top * share, unit, top < 1 ? 2 : top < 10 ? 1 : 0), "end"));
  }
  known.forEach((own, row) => {
    if (ids.includes(own.id)) picture.append(line("now", x(at[row]), EDGE.top, x(at[row]), HEIGHT - EDGE.bottom));
  });
  picture.append(text(x(at[0]), HEIGHT - 8, name(known[0]), "start"), text(x(at.at(-1)), HEIGHT - 8, name(known.at(-1)), "end"));
  for (const region of regions) picture.append(...series(region, known, at, x, y));
  return picture;
}

function words(known, regions, name) {
  const of = (own) => regions.map(({ name }) => `${name} ${volumeWords(own.volumes_ml[name], own.unit)}`).join(", ");
  return `${t("compare.curve")}. ${known.map((own) => `${name(own)}: ${of(own)}`).join("; ")}`;
}

function series({ name, colour }, known, at, x, y) {
  const points = known.flatMap((own, row) => (name in own.volumes_ml ? [[x(at[row]), y(own.volumes_ml[name])]] : []));
  if (points.length === 0) return [];
  const dots = points.map(([cx, cy]) => svg("circle", { cx, cy, r: 4, fill: colour, stroke: "currentColor", "stroke-width": 0.7 }));
  const path = svg("polyline", { points: points.map((point) => point.join(",")).join(" "), fill: "none", stroke: colour, "stroke-width": 2.5 });
  const [endX, endY] = points.at(-1);
  return [path, ...dots, text(endX + 10, endY + 4, name, "start")];
}

function line(kind, x1, y1, x2, y2) {
  return svg("line", { class: kind, x1, y1, x2, y2 });
}

function text(x, y, content, anchor) {
  return svg("text", { x, y, "text-anchor": anchor }, content);
}
