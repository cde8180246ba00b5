// Pushes entries through the reference ingest library, unmodified, into an indexer: with
// enumerated values of every type, IPv4 and IPv6 sources, a tag that is negotiated live, an ingester
// state, and compression when asked. Succeeds only when the library says that all is confirmed.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/gravwell/gravwell/v3/ingest"
	"github.com/gravwell/gravwell/v3/ingest/config"
	"github.com/gravwell/gravwell/v3/ingest/entry"
)

var (
	target   = flag.String("target", "tcp://127.0.0.1:4023", "tcp://, tls:// or pipe://")
	secret   = flag.String("secret", "IngestSecrets", "ingest secret")
	tag      = flag.String("tag", "interop", "bulk negotiated tag; TAG-live is negotiated later")
	count    = flag.Int("count", 1000, "entries per tag")
	size     = flag.Int("size", 0, "pad the data to so many bytes")
	compress = flag.Bool("compress", false, "propose snappy")
	tenant   = flag.String("tenant", "", "tenant name")
	wait     = flag.Duration("wait", 20*time.Second, "how long to wait for a connection")
	linger   = flag.Duration("linger", 0, "stay connected for so long afterwards")
	ingester = flag.String("uuid", "11111111-2222-3333-4444-555555555555", "ingester UUID")
)

func check(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

var values = []struct {
	name  string
	value interface{}
}{
	{"user", "bob"},
	{"port", uint16(443)},
	{"addr", net.ParseIP("10.0.0.1")},
	{"addr6", net.ParseIP("fe80::1")},
	{"mac", net.HardwareAddr{0, 1, 2, 3, 4, 5}},
	{"ratio", float64(3.5)},
	{"half", float32(0.5)},
	{"ok", true},
	{"took", 90 * time.Second},
	{"raw", []byte{0, 1, 255}},
	{"octet", byte(7)},
	{"i8", int8(-8)},
	{"i16", int16(-16)},
	{"i32", int32(-32)},
	{"u32", uint32(32)},
	{"i64", int64(-64)},
	{"u64", uint64(64)},
	{"when", time.Unix(1700000000, 123456789).UTC()},
}

func write(muxer *ingest.IngestMuxer, number entry.EntryTag, name string) {
	sources := []net.IP{net.ParseIP("192.168.1.2"), net.ParseIP("fe80::1"), nil}
	start := time.Now().Add(-time.Duration(*count) * time.Millisecond)
	for i := 0; i < *count; i++ {
		data := []byte(fmt.Sprintf("%s entry %d", name, i))
		for len(data) < *size {
			data = append(data, byte('a'+len(data)%26))
		}
		e := &entry.Entry{
			TS:   entry.FromStandard(start.Add(time.Duration(i) * time.Millisecond)),
			SRC:  sources[i%len(sources)],
			Tag:  number,
			Data: data,
		}
		for _, v := range values {
			check("enumerated value "+v.name, e.AddEnumeratedValueEx(v.name, v.value))
		}
		check("write", muxer.WriteEntry(e))
	}
}

func main() {
	flag.Parse()
	muxer, err := ingest.NewUniformMuxer(ingest.UniformMuxerConfig{
		IngestStreamConfig: config.IngestStreamConfig{Enable_Compression: *compress},
		Destinations:       []string{*target},
		Tags:               []string{*tag, "default"},
		Auth:               *secret,
		Tenant:             *tenant,
		IngesterName:       "interop",
		IngesterVersion:    "1.0.0",
		IngesterUUID:       *ingester,
		IngesterLabel:      "lab",
	})
	check("muxer", err)
	check("configuration", muxer.SetRawConfiguration(map[string]string{"Key": "value"}))
	check("start", muxer.Start())
	check("hot", muxer.WaitForHot(*wait))
	begun := time.Now()
	number, err := muxer.GetTag(*tag)
	check("tag", err)
	write(muxer, number, *tag)
	live := *tag + "-live"
	number, err = muxer.NegotiateTag(live)
	check("live tag", err)
	write(muxer, number, live)
	check("sync", muxer.Sync(30*time.Second))
	seconds := time.Since(begun).Seconds()
	time.Sleep(*linger)
	check("close", muxer.Close())
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"written": 2 * *count, "seconds": seconds, "tags": []string{*tag, live}})
}
