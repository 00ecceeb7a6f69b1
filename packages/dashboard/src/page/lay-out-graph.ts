/** Where the boxes and arrows of a task graph lie. */
import * as untyped from '@dagrejs/dagre';

export interface GraphLayout {
  readonly width: number;
  readonly height: number;
  /** Centre of each box. */
  readonly boxes: Readonly<Record<string, Point>>;
  readonly arrows: readonly {
    readonly from: string;
    readonly to: string;
    readonly points: readonly Point[];
  }[];
}

/** What is used of dagre, whose own types need a bundler's resolution. */
interface Dagre {
  readonly graphlib: { readonly Graph: new () => DagreGraph };
  readonly layout: (graph: DagreGraph) => void;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

interface DagreGraph {
  setGraph(options: Readonly<Record<string, string | number>>): void;
  setDefaultEdgeLabel(make: () => object): void;
  setNode(id: string, size: { readonly width: number; readonly height: number }): void;
  setEdge(from: string, to: string): void;
  graph(): { readonly width: number; readonly height: number };
  node(id: string): Point;
  edges(): readonly { readonly v: string; readonly w: string }[];
  edge(edge: { readonly v: string; readonly w: string }): { readonly points: readonly Point[] };
}

const dagre = untyped as unknown as Dagre;

export const boxWidth = 148;
export const boxHeight = 58;

/** Dependencies above, dependants below. */
export function layOutGraph(
  tasks: readonly { readonly id: string; readonly dependsOn: readonly string[] }[],
): GraphLayout {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'TB', nodesep: 24, ranksep: 46, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id } of tasks) graph.setNode(id, { width: boxWidth, height: boxHeight });
  for (const { id, dependsOn } of tasks) for (const parent of dependsOn) graph.setEdge(parent, id);
  dagre.layout(graph);
  const { width, height } = graph.graph();
  return {
    width,
    height,
    boxes: Object.fromEntries(tasks.map(({ id }) => [id, graph.node(id)])),
    arrows: graph.edges().map((edge) => ({ from: edge.v, to: edge.w, points: graph.edge(edge).points })),
  };
}
