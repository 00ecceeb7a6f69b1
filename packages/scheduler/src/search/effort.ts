/**
 * How much is tried, by the size of the question: every threshold of the search, of the planner and of the peers' tuning.
 *
 * A simulation costs about devices × micro-batches, and the number of placements grows faster than that, so larger clusters get a
 * shallower look.
 */
interface Effort {
  /** Micro-batches of a step at most, where the caller does not say. */
  readonly microbatches: number;
  /** Orders to try for every candidate; of the three that ContextGear has, the deeper ones are seldom the worse. */
  readonly orders: 1 | 2 | 3;
  /** What takes so many times its bound is good enough: no other order is tried, and no placement with a bound as high. */
  readonly closeToBound: number;
  /** Part of the budget for each interval: a plan has many of them. */
  readonly budgetShare: number;
  /** Orders of the devices from which the bounded search starts. */
  readonly startOrders: number;
  /** Largest groups it starts with, besides groups of one. */
  readonly startGroups: 'few and many' | 'many' | 'up to 8';
  /** Stages of a pipeline of groups at most. */
  readonly groupedStages: number;
  /** Relative precision to which a bottleneck is found. */
  readonly bottleneckPrecision: number;
  /** Placements to simulate after the estimates, even when the budget is spent. */
  readonly assessedLeast: number;
  /** Whether power modes are changed one device at a time. */
  readonly changesModes: boolean;
  /** Settings of a peer to simulate, most promising first, and the finest divisions into micro-batches among them. */
  readonly peerCandidates: number;
  readonly peerDivisions: number;
  /** Whether peers try the devices in the order in which they are listed; nobody lists many in an order that means something. */
  readonly peerListedOrder: boolean;
  /** The Asteroid-like planner's divisions, and its largest group and number of stages. */
  readonly asteroidDivisions: number;
  readonly asteroidGroup: number;
  readonly asteroidStages: number;
}

const upTo5: Effort = {
  microbatches: 64,
  orders: 2,
  closeToBound: 1,
  budgetShare: 1,
  startOrders: 6,
  startGroups: 'few and many',
  groupedStages: 24,
  bottleneckPrecision: 5e-3,
  assessedLeast: 2,
  changesModes: true,
  peerCandidates: Infinity,
  peerDivisions: Infinity,
  peerListedOrder: true,
  asteroidDivisions: Infinity,
  asteroidGroup: Infinity,
  asteroidStages: Infinity,
};
const upTo10: Effort = { ...upTo5, closeToBound: 1.002, orders: 3 };
const upTo12: Effort = { ...upTo10, peerCandidates: 2, peerDivisions: 2, asteroidDivisions: 2 };
const upTo16: Effort = { ...upTo12, startOrders: 4, startGroups: 'many', changesModes: false };
const upTo32: Effort = { ...upTo16, peerListedOrder: false };
const upTo64: Effort = {
  ...upTo32,
  startOrders: 1,
  startGroups: 'up to 8',
  groupedStages: 16,
  bottleneckPrecision: 2e-2,
  asteroidGroup: 8,
  asteroidStages: 16,
};
const above64: Effort = {
  ...upTo64,
  microbatches: 16,
  orders: 1,
  budgetShare: 1 / 8,
  bottleneckPrecision: 5e-2,
  assessedLeast: 1,
  peerCandidates: 1,
  peerDivisions: 1,
  asteroidStages: 8,
};

export function effortFor(devices: number): Effort {
  if (devices <= 5) return upTo5;
  if (devices <= 10) return upTo10;
  if (devices <= 12) return upTo12;
  if (devices <= 16) return upTo16;
  if (devices <= 32) return upTo32;
  return devices <= 64 ? upTo64 : above64;
}

/** What does not depend on the number of devices. */
export const limits = {
  /** Instructions to simulate for an interval, about. */
  budget: 200_000,
  /** Parts of the budget: for the bounded search that comes before an exact one, to leave for local search, for assessments, and on top for polishing. */
  budgetBeforeExact: 1 / 6,
  budgetForImproving: 1 / 2,
  budgetForAssessing: 1 / 4,
  budgetForPolishing: 1 / 8,
  /** An estimate that is so many times the bound is not worth a second one. */
  closeEstimate: 1.02,
  /** So many bounds cost about as much as an estimate. */
  boundsPerEstimate: 40,
  /** Instructions of a micro-batch on a device, about, and the steps of several tasks that are estimated, about. */
  instructionsEach: 8,
  estimatedSteps: 4,
  /** Steps to simulate of several tasks, which fill the pipeline within the first; where every step drains it; else, to see the period. */
  simulatedSteps: { siblings: 3, draining: 2, overlapping: 4 },
  /** Numbers of stages to try: all up to 2 ** shift, then each 2 ** −shift more than the one before; above `few`, with the other shift. */
  stageCounts: { few: 32, shift: 3, shiftOfMany: 2 },
  /** Devices in an order that may end a group, at most; of a set that only promises fewer. */
  blocks: 64,
  /** Halvings of the interval in which a bottleneck is found, at most. */
  bottleneckHalvings: 24,
  exactDevices: 6,
  /** Bounds and simulations of an exact search at most; one that needs more is called bounded. */
  exactBounds: 60_000,
  exactSimulations: 2_000,
  /** With more devices than these only a part of both. */
  fewDevices: 4,
  exactPartOfMany: 1 / 6,
  /** The same for the quick look before it. */
  coarseBounds: 10_000,
  coarseSimulations: 300,
  /** Layers of the exact search: alone, and in a plan, which asks it many times. */
  exactLayers: 12,
  exactLayersInPlan: 10,
  /** Relative precision of a lower bound. */
  boundPrecision: 1e-3,
  /** Sets of tasks by earliest begin and end whose bound is asked; whole tasks of a device counted together at most; size and pivots of a
   * program of prices at most. */
  boundWindows: 24,
  countedWhole: 7,
  pricedSize: 60_000,
  pricePivots: 1_000,
  /** Devices of one stage. */
  group: 64,
  /** Stages through which local search passes a layer at most. */
  passingStages: 8,
  /** Placements kept for each interval. */
  keptPlacements: 6,
  /** Placements of each that an interval looks at. */
  sharedPlacements: 3,
  /** So many devices at most of which every set may be a lane; the growth of sets of more, and the lanes a cluster is divided into. */
  allDeviceSets: 5,
  deviceLadder: 1.25,
  dividedLanes: 4,
  /** Placements and numbers of micro-batches of a set of devices that only promise, how often what a run relies on is looked at more closely,
   * and the part of the budget of a first search on its sets. */
  promises: 2,
  briefDivisions: 2,
  briefBlocks: 16,
  refinements: 60,
  promiseBudget: 1 / 8,
  /** Part of the budget for a set of devices that is not the whole cluster, and for an interval that is a small part of its job. */
  subsetBudget: 1 / 8,
  leastPart: 1 / 8,
  /** Devices of such a set at most of which peers are asked that split layers. */
  splitOnSet: 2,
  /** A placement that costs so many times the mark is not polished. */
  polishedAbove: 1.2,
  /** Tasks of which every set of siblings may be a group, and levels of which every pair may. */
  allGroups: 4,
  pairedLevel: 4,
  pairedTasks: 8,
  /** Lists of jobs: first ones, those that small changes start from, and lists looked at in all. */
  listTrials: 200,
  /** Lists of tasks that have one device each. */
  taskListTrials: 200,
  listSeed: 1,
  climbedLists: 4,
  judgedLists: 30_000,
  /** So many lists are bounded in the time that one is played. */
  listsPerPlay: 10,
  /** Part of that for each search but the last, while promises are still simulated. */
  promisedShare: 1 / 8,
  /** Random changes of the best list, each climbed from. */
  kicks: 40,
  changesPerKick: 3,
  /** Jobs up to which a move in the list is tried together with another mode. */
  movedAndChanged: 16,
  /** Jobs up to which all lists are covered, and the branches that may take. */
  coveredJobs: 5,
  coveredNodes: 20_000,
  /** Other devices that the plan is played with for each job, and rejected ones told. */
  askedModes: 6,
  rejected: 3,
  /** Plans compared when power modes are chosen; each is a whole planning, with this much less thoroughness. */
  comparedPlans: 64,
  comparing: { budgetShare: 1 / 4, exactDevices: 4, exactLayers: 6 },
  /** How thoroughly to find out with how much more memory a model would fit. */
  fitting: { budget: 20_000, exactDevices: 4 },
  /** Multiples of the memory to try for that. */
  memoryFactors: [1.1, 1.25, 1.5, 2, 3, 4, 8, 16],
  /** What a joule weighs against a second in a front's plans, and in the goals tried where power modes are chosen; 1 is the first plan's ratio. */
  frontWeights: [1 / 16, 1 / 4, 1, 4, 16],
  goalWeights: [1 / 4, 1, 4],
  /** Stages that a peer's dynamic programme prices, about; deeper models are cut at fewer places. */
  pricedStages: 2e6,
  /** Balances by hand: all of them up to so many in a plan and in a comparison; beyond, in a comparison, all orders up to so many. */
  handBalances: { inPlan: 100, inComparison: 2000, orders: 400 },
  /** Orders to simulate for each number of stages and of micro-batches. */
  handKept: 12,
  /** Equal replicas of a peer's stage; more are data parallelism, which ZeRO covers. */
  peerReplicas: 4,
  /** How far apart the numbers of devices are that a peer tries, below and from `few` on. */
  peerCounts: { few: 12, growth: 1.25, growthOfMany: 1.7 },
} as const;
