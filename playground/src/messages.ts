/** What the page and its training worker tell each other. */
import type { AnswerView, PlanView, RunView } from '@contextlora/dashboard';

export interface StartMessage {
  readonly type: 'start';
  readonly seed: number;
  /** Multiplies the numbers of scenes and steps of the demo. */
  readonly effort: number;
  /** The task whose training labels are replaced by wrong ones. */
  readonly corrupted?: string;
}

export interface AskMessage {
  readonly type: 'ask';
  readonly task: string;
  readonly text: string;
  /** Path of the picture in the worker's memory. */
  readonly image: string;
  /** Task → its answer, where it is given. */
  readonly given: Readonly<Record<string, string>>;
}

export type ToWorker = StartMessage | AskMessage;

/** A scene of the decision's test rows. */
export interface SceneView {
  readonly image: string;
  /** A data URL. */
  readonly picture: string;
  readonly text: string;
  /** Task → the right answer; of the decision too. */
  readonly right: Readonly<Record<string, string>>;
}

export type FromWorker =
  | { readonly type: 'doing'; readonly what: string; readonly share?: number }
  | { readonly type: 'view'; readonly view: RunView; readonly secondsLeft?: number }
  | { readonly type: 'plan'; readonly plan: PlanView }
  | { readonly type: 'scenes'; readonly scenes: readonly SceneView[] }
  /** The run has ended: task → SHA-256 of its segment. */
  | { readonly type: 'ended'; readonly hashes: Readonly<Record<string, string>>; readonly seconds: number }
  | { readonly type: 'answers'; readonly answers: readonly AnswerView[] }
  | { readonly type: 'failed'; readonly problem: string };
