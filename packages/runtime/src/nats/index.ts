export { connectNats, type ConnectNatsOptions } from './connect-nats.js';
export { natsWire, type NatsWireOptions } from './nats-wire.js';
export { type NatsStoreOptions, openNatsStore } from './nats-store.js';
export { serverConfiguration, type ServerConfigurationOptions } from './server-configuration.js';
