/* The forms in which results are downloaded, in words; the server says which there are. */
const FORMATS: Record<string, { label: string; extension: string }> = {
  text: { label: 'Text, one entry a line', extension: 'txt' },
  json: { label: 'JSON', extension: 'json' },
  csv: { label: 'CSV', extension: 'csv' },
  pcap: { label: 'Packets (pcap)', extension: 'pcap' },
  archive: { label: 'Archive of the search', extension: 'zip' },
  raw: { label: 'The bytes as they came', extension: 'bin' },
  xml: { label: 'XML', extension: 'xml' },
  lookupdata: { label: 'Resource for lookups', extension: 'csv' },
  ipexist: { label: 'Resource of addresses', extension: 'bin' },
  geojson: { label: 'GeoJSON', extension: 'geojson' },
};

export interface DownloadFormat {
  format: string;
  label: string;
  extension: string;
}

export function downloadFormats(names: readonly string[]): DownloadFormat[] {
  return names.map((format) => {
    const known = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
    return { format, ...(known ?? { label: format, extension: extensionOf(format) }) };
  });
}

/** A name that the server made up later: nothing but letters and digits becomes part of a file's. */
function extensionOf(format: string): string {
  return /^[a-z0-9]{1,12}$/i.test(format) ? format.toLowerCase() : 'bin';
}
