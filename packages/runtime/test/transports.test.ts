import { setTimeout } from 'node:timers/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';

import { memoryTransports } from '@contextlora/runtime';
import { grpcWire } from '@contextlora/runtime/grpc';
import { connectNats, natsWire } from '@contextlora/runtime/nats';
import { portTransport } from '@contextlora/runtime/threads';
import { afterAll, beforeAll } from '@jest/globals';

import { describeWithNats, startNatsServer, type TestServer } from './nats-server.js';
import { memoryWires, overWires } from './networks.js';
import { testTransports } from './transport-conformance.js';

testTransports('the memory of one process', (devices, options) => {
  const transports = memoryTransports(devices, options);
  return Promise.resolve({
    transports,
    lose(device: string) {
      transports.get(device)!.lose();
    },
    async [Symbol.asyncDispose]() {
      for (const transport of transports.values()) await transport[Symbol.asyncDispose]();
    },
  });
});

testTransports('message ports', (devices, options) => {
  const ports = new Map(devices.map((device) => [device, new Map<string, MessagePort>()]));
  for (const [index, one] of devices.entries())
    for (const other of devices.slice(index + 1)) {
      const { port1, port2 } = new MessageChannel();
      ports.get(one)!.set(other, port1);
      ports.get(other)!.set(one, port2);
    }
  const transports = new Map(
    devices.map((device) => [device, portTransport(device, ports.get(device)!, options)]),
  );
  return Promise.resolve({
    transports,
    lose(device: string) {
      // As a thread does that ends.
      for (const port of ports.get(device)!.values()) port.close();
    },
    async [Symbol.asyncDispose]() {
      for (const transport of transports.values()) await transport[Symbol.asyncDispose]();
    },
  });
});

testTransports('wires in memory', (devices, options) => overWires(memoryWires())(devices, options));

testTransports('gRPC', (devices, options) => {
  const endpoints = new Map<string, string>();
  return overWires((device, peers) =>
    grpcWire({
      device,
      peers,
      host: '127.0.0.1',
      announce(endpoint) {
        endpoints.set(device, endpoint);
        return Promise.resolve();
      },
      async endpointOf(peer) {
        while (!endpoints.has(peer)) await setTimeout(5);
        return endpoints.get(peer)!;
      },
    }),
  )(devices, options);
});

describeWithNats('NATS', () => {
  let server: TestServer;
  let runs = 0;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  testTransports('NATS', (devices, options) => {
    const run = `run ${++runs}`;
    return overWires((device, peers) =>
      natsWire({
        device,
        peers,
        run,
        connect: () => connectNats(server.address, { name: device, reconnect: false }),
      }),
    )(devices, options);
  });
});
