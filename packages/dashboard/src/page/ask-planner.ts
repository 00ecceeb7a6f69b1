/** Starts a worker from the code in the page and asks it for one plan. */
import type { PlanAnswer, PlanQuestion } from './plan-question.js';

export interface AskedPlan {
  readonly answer: Promise<PlanAnswer>;
  /** Ends the worker at once; the answer never comes. */
  readonly stop: () => void;
}

export function askPlanner(question: PlanQuestion): AskedPlan {
  const code = document.getElementById('plan-worker')?.textContent ?? '';
  const address = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
  const worker = new Worker(address);
  const stop = () => {
    worker.terminate();
    URL.revokeObjectURL(address);
  };
  const answer = new Promise<PlanAnswer>((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<PlanAnswer>) => {
      resolve(data);
      stop();
    };
    worker.onerror = ({ message }) => {
      resolve({ problem: `the planner failed: ${message}` });
      stop();
    };
  });
  worker.postMessage(question);
  return { answer, stop };
}
