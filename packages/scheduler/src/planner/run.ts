/** A run to be planned, and how its jobs are assigned: the words that the search, the player and the explanation share. */
import type { CostModel } from '../cost/cost-model.js';
import type { Objective } from '../search/interval-problem.js';
import type { Job, TaskGraph } from './jobs.js';
import type { Mode } from './modes.js';
import type { BaseHolders } from './transfers.js';

/** The run that is planned, in the form in which its player asks for it. */
export interface Run {
  readonly graph: TaskGraph;
  /** Of all tasks on the whole cluster. */
  readonly costs: CostModel;
  readonly holders: BaseHolders;
}

/** A job and how it runs; a list of them says in which order devices take them. */
export interface Assignment {
  readonly job: Job;
  readonly mode: Mode;
  readonly answers: readonly Answer[];
  /** Of the mode, with the answers that the job gives; alone on the network. */
  readonly seconds: number;
}

/** Forward passes without training, and how long they take. */
export interface Answer {
  /** Whose segments answer. */
  readonly task: string;
  readonly reason: 'prompts' | 'validation';
  readonly samples: number;
  readonly seconds: number;
}

export interface CandidateJob {
  readonly job: Job;
  /** One for each set of devices worth using, fewest devices first. */
  readonly choices: readonly Assignment[];
}

export interface CandidateJobs {
  /** By task; without choices where nothing fits. */
  readonly single: readonly CandidateJob[];
  readonly groups: readonly CandidateJob[];
}

export interface RunSearch {
  readonly run: Run;
  readonly candidates: CandidateJobs;
  readonly objective: Objective;
  /** Whether jobs may run at the same time. */
  readonly siblings: boolean;
  /** Part of the usual effort. */
  readonly share: number;
}
