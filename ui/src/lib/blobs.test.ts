import { expect, it } from 'vitest';
import { blobFormOf, detailsOf, FILES, isPicture, RESOURCES } from './blobs';

const shared = { UID: 1, Global: true, WriteAccess: null, Labels: null, Synced: true };

it('a resource and a file each keep their own names on the wire', () => {
  const resource = RESOURCES.of({
    ...shared,
    GUID: 'g',
    ResourceName: 'hosts',
    Description: 'd',
    Size: 3,
    VersionNumber: 2,
    LastModified: 't',
    GroupACL: [4],
  } as never);
  expect(detailsOf(RESOURCES, blobFormOf(resource))).toMatchObject({
    ResourceName: 'hosts',
    Description: 'd',
    GroupACL: [4],
    Global: true,
  });
  const file = FILES.of({
    ...shared,
    ThingUUID: 'u',
    GUID: 'g',
    Name: 'notes',
    Desc: 'd',
    Size: 3,
    Type: 'text/plain',
    Updated: 't',
    GIDs: [5],
  } as never);
  expect(detailsOf(FILES, blobFormOf(file))).toMatchObject({
    Name: 'notes',
    Desc: 'd',
    GIDs: [5],
  });
});

it('only pictures that hold no program are shown as pictures', () => {
  expect(isPicture('image/png')).toBe(true);
  expect(isPicture('image/svg+xml')).toBe(false);
  expect(isPicture('text/html')).toBe(false);
});
