/* The parts of ECharts that pages draw with; loaded when the first chart is drawn. */
import {
  BarChart,
  GaugeChart,
  GraphChart,
  LineChart,
  LinesChart,
  PieChart,
  ScatterChart,
} from 'echarts/charts';
import {
  AriaComponent,
  GeoComponent,
  GridComponent,
  LegendComponent,
  TooltipComponent,
} from 'echarts/components';
import * as core from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { cutAtAntimeridian } from './chart';

core.use([
  AriaComponent,
  BarChart,
  CanvasRenderer,
  GaugeChart,
  GeoComponent,
  GraphChart,
  GridComponent,
  LegendComponent,
  LineChart,
  LinesChart,
  PieChart,
  ScatterChart,
  TooltipComponent,
]);

let world: Promise<void> | undefined;

/** The outline of the world (Natural Earth, 1:110m), fetched once. */
export function needWorld(): Promise<void> {
  world ??= Promise.all([import('topojson-client'), import('world-atlas/land-110m.json')]).then(
    ([{ feature }, { default: atlas }]) => {
      const topology = atlas as unknown as Parameters<typeof feature>[0];
      const land = topology.objects['land'];
      const shapes = land ? feature(topology, land) : undefined;
      const geometries = shapes?.type === 'FeatureCollection' ? shapes.features : [];
      const rings = geometries.flatMap(({ geometry }) =>
        geometry.type === 'MultiPolygon' ? geometry.coordinates.flat() : [],
      );
      core.registerMap('world', {
        type: 'FeatureCollection',
        features: rings.flatMap(cutAtAntimeridian).map((ring) => ({
          type: 'Feature',
          properties: {},
          geometry: { type: 'Polygon', coordinates: [ring] },
        })),
      } as unknown as Parameters<typeof core.registerMap>[1]);
    },
  );
  return world;
}

export const init = core.init;
