import { library } from '../../tools/tsup.js';

export default library({
  entry: {
    index: 'src/index.ts',
    engine: 'src/engine/index.ts',
    threads: 'src/threads/index.ts',
    nats: 'src/nats/index.ts',
    grpc: 'src/grpc/index.ts',
    security: 'src/security/index.ts',
  },
});
