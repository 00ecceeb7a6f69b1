import { decodeMessage, encodeMessage, memoryTransports, serveStage } from '@contextlora/runtime';
import { expect, test } from '@jest/globals';

import { serveToy, toyExamples, toyModelSide } from './toy-pipeline.js';
import { initialState, type ToyModel, toyStage } from './toy-stage.js';

const model: ToyModel = { width: 2, layers: 1, tasks: { road: 1 } };
const phase = { tasks: ['road'], roles: { road: { road: 'train' as const } } };

test('A worker that waits for a decision when the coordinator has given up the step goes on with what came instead', async () => {
  const transports = memoryTransports(['coordinator', 'a']);
  const coordinator = transports.get('coordinator')!;
  const served = serveToy(transports.get('a')!, model);
  const send = (number: number, content: object) =>
    coordinator.send('a', 'commands', encodeMessage({ number, content }));
  /** The next report of a command, of the type or the last one. */
  const report = async (number: number, type?: string): Promise<{ type: string; code?: string }> => {
    for (;;) {
      const message = decodeMessage(await coordinator.receive('a', 'reports')) as {
        number: number;
        content: { type: string; code?: string };
      };
      const { content } = message;
      if (message.number === number && (type === undefined || content.type === type)) return content;
    }
  };
  await send(1, { type: 'open', range: { start: 0, end: model.layers + 2 } });
  await report(1);
  await send(2, { type: 'begin', phase, state: initialState(model), isUnderWay: false });
  await report(2);
  const [microbatch] = toyModelSide(model).microbatches('road', [toyExamples(1, model.width)], {
    phase,
    state: initialState(model),
  }).microbatches;
  const of = { task: 'road', step: 0 };
  await send(3, {
    type: 'run',
    run: 1,
    program: [
      { ...of, type: 'forward', microbatch: 0 },
      { ...of, type: 'backwardInput', microbatch: 0 },
      { ...of, type: 'backwardWeight', microbatch: 0 },
      { ...of, type: 'update' },
    ],
    microbatches: [{ microbatch: 0, ...microbatch }],
    window: 2,
    withState: false,
  });
  await report(3, 'gradient');
  // The interruption of the step is under way on a channel of its own.
  await send(4, { type: 'state' });
  expect(await report(3)).toMatchObject({ type: 'failed', code: 'RUNTIME_ABORTED' });
  expect(await report(4)).toMatchObject({ type: 'done', state: { segments: {} } });
  await send(5, { type: 'close' });
  await report(5);
  await served;
});

test('A worker whose coordinator has left ends', async () => {
  const transports = memoryTransports(['coordinator', 'a']);
  const served = serveStage(transports.get('a')!, {
    openStage: (range) => Promise.resolve(toyStage(model, range, initialState(model))),
  });
  await transports.get('coordinator')![Symbol.asyncDispose]();
  await served;
});
