/** Networks of transports for the conformance suite, over any wire. */
import {
  openTransport,
  type OpenWire,
  type RefusedFrame,
  type Transport,
  type Wire,
} from '@contextlora/runtime';

export interface Network extends AsyncDisposable {
  readonly transports: ReadonlyMap<string, Transport>;
  /** The device is gone, without a goodbye. */
  lose(device: string): void | Promise<void>;
  /** The device stands still: it sends and hears nothing, and its connections stay. */
  freeze?(device: string): void;
  readonly refused?: readonly RefusedFrame[];
}

export type OpenNetwork = (
  devices: readonly string[],
  options?: { readonly window?: number },
) => Promise<Network>;

/** What happens to a packet on its way: the packets that arrive in its place. */
export type Tamper = (packet: Uint8Array, way: { from: string; to: string; lane: string }) => Uint8Array[];

export const overWires =
  (
    wireOf: (device: string, peers: readonly string[]) => OpenWire,
    { tamper = (packet) => [packet], epochs = {} }: { tamper?: Tamper; epochs?: Record<string, number> } = {},
  ): OpenNetwork =>
  async (devices, { window = 2 } = {}) => {
    const wires = new Map<string, Wire>();
    const frozen = new Set<string>();
    const refused: RefusedFrame[] = [];
    const transports = new Map(
      await Promise.all(
        devices.map(async (device, index) => {
          const peers = devices.filter((name) => name !== device);
          const openWire: OpenWire = async (listener) => {
            const wire = await wireOf(
              device,
              peers,
            )({
              received(peer, packet) {
                if (!frozen.has(device)) listener.received(peer, packet);
              },
              lost(peer, why) {
                if (!frozen.has(device)) listener.lost(peer, why);
              },
            });
            wires.set(device, wire);
            return {
              async send(peer, packet, lane) {
                if (frozen.has(device)) return;
                for (const one of tamper(packet, { from: device, to: peer, lane }))
                  await wire.send(peer, one, lane);
              },
              [Symbol.asyncDispose]: () => wire[Symbol.asyncDispose](),
            };
          };
          const transport = await openTransport(openWire, {
            device,
            peers,
            epoch: epochs[device] ?? 7,
            session: 1000 + index,
            clock: () => performance.now() / 1000,
            window,
            onRefused: (refusal) => refused.push(refusal),
          });
          return [device, transport] as const;
        }),
      ),
    );
    return {
      transports,
      refused,
      async lose(device) {
        frozen.add(device);
        await wires.get(device)![Symbol.asyncDispose]();
      },
      freeze(device) {
        frozen.add(device);
      },
      async [Symbol.asyncDispose]() {
        await Promise.all([...transports.values()].map((transport) => transport[Symbol.asyncDispose]()));
      },
    };
  };

/** Wires between devices of this process. */
export function memoryWires(): (device: string) => OpenWire {
  const listeners = new Map<string, Parameters<OpenWire>[0]>();
  return (device) => (listener) => {
    listeners.set(device, listener);
    return Promise.resolve({
      send(peer, packet) {
        const copy = packet.slice();
        setImmediate(() => listeners.get(peer)?.received(device, copy));
        return Promise.resolve();
      },
      [Symbol.asyncDispose]() {
        listeners.delete(device);
        setImmediate(() => {
          for (const other of listeners.values()) other.lost(device, 'has gone');
        });
        return Promise.resolve();
      },
    });
  };
}
