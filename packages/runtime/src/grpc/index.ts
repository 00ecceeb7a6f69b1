export { grpcWire, type GrpcWireOptions } from './grpc-wire.js';
