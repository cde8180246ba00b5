/*
 * Things with contents: resources and files. What differs between the two on the wire is a row
 * here; pages and dialogs know only `Blob`.
 */
import { sharingOf, wireOf, type Shared, type SharingForm } from './sharing';
import type { Resource } from './resource';

export interface WireFile extends Shared {
  ThingUUID: string;
  GUID: string;
  Name: string;
  Desc: string;
  Size: number;
  Type: string;
  Updated: string;
}

/** Either of the two. */
export interface Kept extends Shared {
  id: string;
  name: string;
  description: string;
  size: number;
  updated: string;
  version: number; /* 0: this kind does not count them */
  type: string; /* "" when the list does not say */
}

export interface BlobKind {
  page: 'resources' | 'files';
  title: string;
  one: string;
  none: string;
  listPath: string;
  rawPath: (id: string) => string;
  groups: 'GroupACL' | 'GIDs';
  of: (wire: never) => Kept;
}

export const RESOURCES: BlobKind = {
  page: 'resources',
  title: 'Resources',
  one: 'resource',
  none: 'No resources yet. Upload a CSV or JSON file, and queries can look things up in it.',
  listPath: '/api/resources',
  rawPath: (id) => `/api/resources/${id}/raw`,
  groups: 'GroupACL',
  of: (wire: Resource): Kept => ({
    ...wire,
    id: wire.GUID,
    name: wire.ResourceName,
    description: wire.Description,
    size: wire.Size,
    updated: wire.LastModified,
    version: wire.VersionNumber,
    type: '',
  }),
};

export const FILES: BlobKind = {
  page: 'files',
  title: 'Files',
  one: 'file',
  none: 'No files yet. Pictures, notes and whatever else belongs to your work can lie here.',
  listPath: '/api/files',
  rawPath: (id) => `/api/files/${id}`,
  groups: 'GIDs',
  of: (wire: WireFile): Kept => ({
    ...wire,
    id: wire.ThingUUID,
    name: wire.Name,
    description: wire.Desc,
    size: wire.Size,
    updated: wire.Updated,
    version: 0,
    type: wire.Type,
  }),
};

export interface BlobForm {
  name: string;
  description: string;
  sharing: SharingForm;
}

export function blobFormOf(kept: Kept | null): BlobForm {
  return {
    name: kept?.name ?? '',
    description: kept?.description ?? '',
    sharing: sharingOf(kept),
  };
}

/** The members to be sent; what else is on the wire stays as it came. */
export function detailsOf(kind: BlobKind, form: BlobForm): Record<string, unknown> {
  const names =
    kind.page === 'resources'
      ? { ResourceName: form.name, Description: form.description }
      : { Name: form.name, Desc: form.description };
  return { ...names, ...wireOf(form.sharing, kind.groups) };
}

/** Texts of up to this size can be edited in place. */
export const EDIT_BYTES_MAX = 1024 * 1024;

export function isPicture(type: string): boolean {
  return /^image\/(?:png|jpeg|gif|webp|bmp)\b/.test(type);
}
