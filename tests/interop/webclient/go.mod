module aquifer.example/interop/webclient

go 1.21

require (
	github.com/google/uuid v1.6.0
	github.com/gravwell/gravwell/v3 v3.8.32
)

require (
	github.com/StackExchange/wmi v0.0.0-20190523213315-cbe66965904d // indirect
	github.com/buger/jsonparser v0.0.0-20191004114745-ee4c978eae7e // indirect
	github.com/crewjam/rfc5424 v0.1.0 // indirect
	github.com/go-ole/go-ole v1.2.4 // indirect
	github.com/gobwas/glob v0.2.3 // indirect
	github.com/gofrs/flock v0.8.0 // indirect
	github.com/google/renameio v1.0.1 // indirect
	github.com/gorilla/websocket v1.4.2 // indirect
	github.com/gravwell/gcfg v1.2.9-0.20221122204101-04b4a74a3018 // indirect
	github.com/klauspost/compress v1.17.7 // indirect
	github.com/shirou/gopsutil v2.20.9+incompatible // indirect
	golang.org/x/net v0.23.0 // indirect
	golang.org/x/sys v0.18.0 // indirect
	golang.org/x/time v0.5.0 // indirect
	gopkg.in/warnings.v0 v0.1.2 // indirect
)
