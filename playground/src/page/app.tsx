/** The playground: start a run, watch it, ask it, spoil one task's data and see what changes. */
import type { AnswerView, PlanView, RunView } from '@contextlora/dashboard';
import {
  coloursOfRun,
  duration,
  LossesCard,
  PartitionCard,
  PlanCard,
  TaskCard,
  TaskGraphCard,
} from '@contextlora/dashboard/cards';
import { useRef, useState } from 'preact/hooks';

import type { FromWorker, SceneView, StartMessage, ToWorker } from '../messages.js';
import { AskCard } from './ask-card.js';
import { BlastCard, type EndedRun } from './blast-card.js';
import { StartCard } from './start-card.js';

interface State {
  readonly doing?: { readonly what: string; readonly share?: number } | undefined;
  readonly view?: RunView;
  readonly secondsLeft?: number | undefined;
  readonly plan?: PlanView;
  readonly scenes: readonly SceneView[];
  readonly answers: readonly AnswerView[];
  readonly problem?: string;
}

const empty: State = { scenes: [], answers: [] };

export function App() {
  const worker = useRef<Worker>(null);
  const [state, setState] = useState<State>(empty);
  const [runs, setRuns] = useState<readonly EndedRun[]>([]);
  const [asked, setAsked] = useState<SceneView>();
  const [selected, select] = useState<string>();
  const [isRunning, setRunning] = useState(false);

  const send = (message: ToWorker) => worker.current?.postMessage(message);
  const start = (options: StartMessage) => {
    worker.current?.terminate();
    const next = new Worker('train-worker.js', { type: 'module' });
    worker.current = next;
    setState(empty);
    setAsked(undefined);
    setRunning(true);
    next.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      switch (data.type) {
        case 'doing':
          setState((before) => ({ ...before, doing: data }));
          break;
        case 'view':
          setState((before) => ({ ...before, view: data.view, secondsLeft: data.secondsLeft }));
          break;
        case 'plan':
          setState((before) => ({ ...before, doing: undefined, plan: data.plan }));
          break;
        case 'scenes':
          setState((before) => ({ ...before, scenes: data.scenes }));
          break;
        case 'answers':
          setState((before) => ({ ...before, answers: data.answers }));
          break;
        case 'ended':
          setRunning(false);
          setRuns((before) => [...before, { options, hashes: data.hashes, seconds: data.seconds }]);
          break;
        case 'failed':
          setRunning(false);
          setState((before) => ({ ...before, doing: undefined, problem: data.problem }));
          break;
        default:
          data satisfies never;
      }
    };
    next.onerror = ({ message }) => {
      setRunning(false);
      setState((before) => ({ ...before, problem: message || 'the worker did not start' }));
    };
    send(options);
  };
  const stop = () => {
    worker.current?.terminate();
    worker.current = null;
    setRunning(false);
    setState((before) => ({ ...before, doing: undefined }));
  };

  const { doing, view, secondsLeft, plan, scenes, answers, problem } = state;
  const whole = view && { ...view, ...(plan ? { plan } : {}) };
  const colourOf = whole ? coloursOfRun(whole) : () => '';
  const task =
    view?.tasks.find(({ id }) => id === selected) ??
    view?.tasks.find(({ state: of }) => of === 'training') ??
    view?.tasks.at(-1);
  return (
    <>
      <header>
        <h1>ContextLoRA playground</h1>
        <p>
          Four driving tasks are trained one after the other into one small vision-language model, in this
          page: each gets its own ranks of the LoRA matrices, builds on frozen ancestors, and never changes
          after its phase. Nothing leaves the page, and nothing but its own files is loaded (about 6 MB).
        </p>
      </header>
      <main>
        <StartCard isRunning={isRunning} start={start} stop={stop} />
        <section aria-labelledby="now-title">
          <h2 id="now-title">Now</h2>
          <p role="status">
            {problem === undefined
              ? (doing?.what ??
                (runs.length > 0 ? 'The run has ended: ask it below.' : 'Nothing yet: start a run.'))
              : ''}
          </p>
          {problem !== undefined && (
            <p class="bad" role="alert">
              {problem}
            </p>
          )}
          {doing && (
            <progress {...(doing.share === undefined ? {} : { value: doing.share })} aria-label="Progress" />
          )}
          {isRunning && secondsLeft !== undefined && secondsLeft > 0 && (
            <p>About {duration(secondsLeft)} of training left.</p>
          )}
          <BlastCard runs={runs} />
        </section>
        {view && (
          <TaskGraphCard
            tasks={view.tasks}
            question={
              asked && answers.length > 0 ? { text: asked.text, image: asked.picture, answers } : undefined
            }
            selected={task?.id}
            select={select}
            colourOf={colourOf}
          />
        )}
        {scenes.length > 0 && view && (
          <AskCard
            tasks={view.tasks}
            scenes={scenes}
            answers={answers}
            ask={(scene, text, given) => {
              setAsked({ ...scene, text });
              send({ type: 'ask', task: view.tasks.at(-1)?.id ?? '', text, image: scene.image, given });
            }}
          />
        )}
        {task && <TaskCard task={task} answer={answers.find((answer) => answer.task === task.id)} />}
        {view && (
          <PartitionCard tasks={view.tasks} phases={view.phases} linears={view.linears} colourOf={colourOf} />
        )}
        {view && <LossesCard tasks={view.tasks} colourOf={colourOf} />}
        {plan && <PlanCard view={plan} />}
      </main>
    </>
  );
}
