/** The whole page. */
import { useEffect, useState } from 'preact/hooks';

import type { QuestionView, RunView } from '../view/run-view.js';
import { AskCard } from './ask-card.js';
import { coloursOfRun } from './colours.js';
import { percent } from './format.js';
import { LossesCard } from './losses-card.js';
import { PartitionCard } from './partition-card.js';
import { PlanCard } from './plan-card.js';
import { TaskCard } from './task-card.js';
import { TaskGraphCard } from './task-graph-card.js';

export interface PageData {
  readonly view: RunView;
  /** Whether a process serves the page: it sends what changes. */
  readonly isLive: boolean;
  /** Whether that process answers questions. */
  readonly canAsk: boolean;
}

export function App({ view: first, isLive, canAsk }: PageData) {
  const [view, setView] = useState(first);
  const [isConnected, setConnected] = useState(isLive);
  const [selected, select] = useState<string>();
  const [asked, setAsked] = useState<QuestionView>();
  useEffect(() => {
    if (!isLive) return undefined;
    const source = new EventSource('events');
    source.onmessage = ({ data }: MessageEvent<string>) => {
      setView(JSON.parse(data) as RunView);
      setConnected(true);
    };
    source.onerror = () => {
      setConnected(false);
    };
    return () => {
      source.close();
    };
  }, []);
  const { name, model, directory, isFinished, tasks, phases, linears, plan, settings } = view;
  const question = asked ?? view.question;
  const answers = question?.answers ?? [];
  const task =
    tasks.find(({ id }) => id === selected) ??
    tasks.find(({ state }) => state === 'training') ??
    tasks.at(-1);
  const colourOf = coloursOfRun(view);
  const ended = phases.filter(({ hasEnded }) => hasEnded).length;
  return (
    <>
      <header>
        <h1>{name}</h1>
        <p>
          {directory} · {model} · rank {String(settings['rank'])} · seed {String(settings['seed'])} ·{' '}
          {isFinished ? 'finished' : `${ended} of ${phases.length} phases have ended`}
          {isLive && !isConnected && (
            <strong class="bad"> · the process that served this page is gone</strong>
          )}
        </p>
        <progress value={shareDone(view)} aria-label="Progress of the run" title={percent(shareDone(view))} />
      </header>
      <main>
        <TaskGraphCard
          tasks={tasks}
          question={question}
          selected={task?.id}
          select={select}
          colourOf={colourOf}
        />
        {task && <TaskCard task={task} answer={answers.find((answer) => answer.task === task.id)} />}
        {canAsk && <AskCard tasks={tasks} onAnswered={setAsked} />}
        <PartitionCard tasks={tasks} phases={phases} linears={linears} colourOf={colourOf} />
        <LossesCard tasks={tasks} colourOf={colourOf} />
        {plan && <PlanCard view={plan} />}
      </main>
    </>
  );
}

/** Of the phases, the running one by its steps. */
function shareDone({ isFinished, phases, tasks }: RunView): number {
  if (isFinished) return 1;
  const shares = phases.flatMap(({ tasks: trained, hasEnded }) =>
    trained.map((id) => {
      const task = tasks.find((of) => of.id === id);
      return hasEnded ? 1 : (task?.steps ?? 0) / (task?.totalSteps ?? Infinity);
    }),
  );
  return shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
}
