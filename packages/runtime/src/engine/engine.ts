/** A device's part in a cluster: what the devices keep in common, and the messages that may change it. */
import type { ControlMessages, RefusedMessage } from '../security/control-messages.js';
import type { EngineStore } from './engine-store.js';

export interface Engine {
  readonly store: EngineStore;
  readonly messages: ControlMessages;
  /** Called for every message that is refused. */
  readonly onRefused?: (refused: RefusedMessage) => void;
}
