import { memoryTransports } from '@contextlora/runtime';
import { describe, expect, test } from '@jest/globals';

const pair = (window = 2) => {
  const transports = memoryTransports(['a', 'b'], { window });
  return { a: transports.get('a')!, b: transports.get('b')! };
};
const bytes = (value: number) => Uint8Array.of(value);

describe('Transports in memory', () => {
  test('give the frames of a channel in order, and keep channels apart', async () => {
    const { a, b } = pair();
    await Promise.all([a.send('b', 'x', bytes(1)), a.send('b', 'y', bytes(9)), a.send('b', 'x', bytes(2))]);
    expect([await b.receive('a', 'x'), await b.receive('a', 'x'), await b.receive('a', 'y')]).toEqual([
      bytes(1),
      bytes(2),
      bytes(9),
    ]);
  });

  test('let a sender wait until the receiver has read a frame', async () => {
    const { a, b } = pair(1);
    await a.send('b', 'x', bytes(1));
    let sent = false;
    const second = a.send('b', 'x', bytes(2)).then(() => (sent = true));
    await Promise.resolve();
    expect(sent).toBe(false);
    await b.receive('a', 'x');
    await second;
    expect(sent).toBe(true);
  });

  test('reject what waits for a lost peer, and give what came before', async () => {
    const { a, b } = pair(1);
    await a.send('b', 'x', bytes(1));
    const stuck = a.send('b', 'x', bytes(2));
    const waiting = a.receive('b', 'z');
    b.lose();
    await expect(stuck).rejects.toMatchObject({ code: 'RUNTIME_PEER_LOST', device: 'b' });
    await expect(waiting).rejects.toMatchObject({ code: 'RUNTIME_PEER_LOST', device: 'b' });
    const other = pair();
    await other.a.send('b', 'x', bytes(1));
    other.a.lose();
    expect(await other.b.receive('a', 'x')).toEqual(bytes(1));
    await expect(other.b.receive('a', 'x')).rejects.toMatchObject({ device: 'a' });
  });

  test('stop waiting on request, without losing the next frame', async () => {
    const { a, b } = pair();
    const controller = new AbortController();
    const waiting = b.receive('a', 'x', { signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'RUNTIME_ABORTED' });
    await a.send('b', 'x', bytes(1));
    expect(await b.receive('a', 'x')).toEqual(bytes(1));
  });
});
