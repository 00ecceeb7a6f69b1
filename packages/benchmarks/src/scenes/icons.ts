/** The icons in the scenes, and everyday words for them. */

/** Icon name → everyday noun, one word each. */
export const nouns: Readonly<Record<string, string>> = {
  automobile: 'car',
  bus: 'bus',
  'delivery-truck': 'truck',
  taxi: 'taxi',
  'sport-utility-vehicle': 'jeep',
  minibus: 'van',
  motorcycle: 'motorbike',
  tractor: 'tractor',
  ambulance: 'ambulance',
  'fire-engine': 'engine',
  'police-car': 'patrol',
  'person-walking': 'walker',
  deer: 'deer',
  dog: 'dog',
  cow: 'cow',
  'deciduous-tree': 'tree',
  'evergreen-tree': 'pine',
  house: 'house',
  tent: 'tent',
  cactus: 'cactus',
  umbrella: 'umbrella',
};

export const ordinaryVehicles = [
  'automobile',
  'bus',
  'delivery-truck',
  'taxi',
  'sport-utility-vehicle',
  'minibus',
  'motorcycle',
  'tractor',
] as const;
export const emergencyVehicles = ['ambulance', 'fire-engine', 'police-car'] as const;
export const walkers = ['person-walking', 'deer', 'dog', 'cow'] as const;
export const roadsideThings = ['deciduous-tree', 'evergreen-tree', 'house', 'tent', 'cactus'] as const;

/** Drawn around the objects, and never named. */
const sceneryIcons = ['sun', 'cloud', 'construction', 'wood', 'rock'] as const;

/** Every icon that a scene may show; `assets/` holds their bodies. */
export const drawnIcons: readonly string[] = [...Object.keys(nouns), ...sceneryIcons];
