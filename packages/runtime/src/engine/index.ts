export { announceEndpoint, findEndpoint } from './endpoints.js';
export type { Engine } from './engine.js';
export type { Change, EngineStore, Entry, KeyValue } from './engine-store.js';
export { type ClusterEvent, eventTeller, followEvents } from './events.js';
export { joinCluster, type Lease, type Member, type MemberState, watchMembers } from './membership.js';
export { memoryStore } from './memory-store.js';
export { loadObject, type ObjectDigest, storeObject } from './objects.js';
export { type PlanRecord, proposePlan, readEpoch, watchPlans } from './plans.js';
export {
  type ClusterFile,
  type DeviceRole,
  parseClusterFile,
  type RegisteredDevice,
} from '../security/cluster-file.js';
export {
  type ControlMessage,
  controlMessages,
  type ControlMessages,
  type MessageFault,
  type RefusedMessage,
} from '../security/control-messages.js';
export {
  type ClusterDevices,
  type ClusterDevicesOptions,
  openClusterDevices,
} from '../cluster/cluster-devices.js';
export { checkClusterPlan, type ClusterPlan, peersOf } from '../cluster/cluster-plan.js';
export { workInCluster, type WorkEvent } from '../cluster/work-in-cluster.js';
