export const setTimeout = <Value>(milliseconds: number, value?: Value): Promise<Value | undefined> =>
  new Promise((resolve) => {
    globalThis.setTimeout(() => {
      resolve(value);
    }, milliseconds);
  });

/** A turn of the event loop, in which messages arrive. */
export const setImmediate = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
