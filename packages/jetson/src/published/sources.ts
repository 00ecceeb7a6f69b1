/** Where the published figures are from. */

export interface Source {
  readonly source: string;
  /** Whether we read the figure there; false if we have it from a quotation of the source, or only as commonly quoted. */
  readonly verified: boolean;
}

export const sources = {
  quoted: { source: "NVIDIA's published figures, as commonly quoted", verified: false },
  orinNanoSheet: { source: 'NVIDIA data sheet DS-11105-001 (Orin Nano), as quoted', verified: false },
  orinNxSheet: { source: 'NVIDIA data sheet DS-10712-001 (Orin NX), as quoted', verified: false },
  agxOrinSheet: { source: 'NVIDIA data sheet DS-10662-001 v1.8 (AGX Orin), as quoted', verified: false },
  superPages: { source: "NVIDIA's product pages of the Super boards, as quoted", verified: false },
  hardwarePage: { source: 'https://huggingface.co/hardware', verified: true },
  thorCores: {
    source:
      'https://forums.developer.nvidia.com/t/clarification-on-cuda-core-and-tensor-core-counts-for-jetson-agx-thor/356355',
    verified: true,
  },
  thorClock: { source: 'clock in a tegrastats line of such a board (test/fixtures)', verified: true },
  reported: { source: 'total in a tegrastats line of such a board (test/fixtures)', verified: true },
} as const satisfies Readonly<Record<string, Source>>;

export type SourceName = keyof typeof sources;
