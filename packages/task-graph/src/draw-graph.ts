/** Drawings of the graph: for a terminal, for Graphviz, for Markdown. */
import { levelsOf, siblingWaves, tasksOf, type TaskGraph } from './task-graph.js';

/** One line per task, level by level: `road  ← weather`. */
export function toText(graph: TaskGraph): string {
  const width = Math.max(...graph.nodes().map((id) => id.length));
  return siblingWaves(graph)
    .flatMap((wave, level) =>
      wave.map((id, i) => {
        const parents = graph.inNeighbors(id);
        const label = i === 0 ? `level ${level}` : '';
        return `${label.padEnd(9)}${id.padEnd(width)}${parents.length > 0 ? `  ← ${parents.join(', ')}` : ''}`.trimEnd();
      }),
    )
    .join('\n');
}

/** Graphviz source, with dependencies to the left of their dependants. */
export function toDot(graph: TaskGraph): string {
  const levels = levelsOf(graph);
  const fills = ['#dbeafe', '#dcfce7', '#fef3c7', '#fae8ff', '#e5e7eb'];
  const nodes = tasksOf(graph).map(({ id, answer }) => {
    const detail = answer.type === 'label' ? `${answer.labels.length} labels` : answer.type;
    return `  ${quote(id)} [label=<<b>${escapeHtml(id)}</b><br/><font point-size="10">${detail}</font>>, fillcolor="${fills[(levels[id] ?? 0) % fills.length]}"];`;
  });
  const edges = graph.mapEdges((_edge, _attributes, from, to) => `  ${quote(from)} -> ${quote(to)};`);
  return [
    'digraph tasks {',
    '  rankdir=LR; bgcolor=white; nodesep=0.4; ranksep=0.7;',
    '  node [shape=box, style="rounded,filled", color="#64748b", fontname="DejaVu Sans", margin="0.2,0.12"];',
    '  edge [color="#64748b", arrowsize=0.8];',
    ...nodes,
    ...edges,
    '}',
    '',
  ].join('\n');
}

/** Mermaid source for Markdown. */
export function toMermaid(graph: TaskGraph): string {
  const edges = graph.mapEdges((_edge, _attributes, from, to) => `  ${from} --> ${to}`);
  const alone = graph.nodes().filter((id) => graph.degree(id) === 0);
  return ['graph LR', ...alone.map((id) => `  ${id}`), ...edges, ''].join('\n');
}

const quote = (text: string) => JSON.stringify(text);
const escapeHtml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
