import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Safetensors files written bit by bit")
struct SafetensorsStreamTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func append(_ bytes: [UInt8], to tensor: Int, of stream: SafetensorsStream) throws {
        try unsafe stream.append(bytes.span.bytes, to: tensor)
    }

    @Test func tensorsGrowAtTheirOwnPace() throws {
        let path = folder.path("a.safetensors")
        let stream = try SafetensorsStream(
            path: path, [.init("wide", .u16, shape: [2, 2]), .init("open", .u8, shape: nil)],
            metadata: ["format": "test"])
        try append([1, 0], to: 0, of: stream)
        try append([7, 8, 9], to: 1, of: stream)
        try append([2, 0, 3, 0, 4, 0], to: 0, of: stream)
        try append([10], to: 1, of: stream)
        #expect(try folder.names() == ["a.safetensors.partial"])
        try stream.close()
        #expect(try folder.names() == ["a.safetensors"])
        let file = try SafetensorsFile(path: path)
        #expect(file.header.metadata == ["format": "test"])
        #expect(file.header.entries.map(\.name) == ["wide", "open"])
        #expect(file.header.entries.map(\.shape) == [[2, 2], [4]])
        let data = try folder.bytes("a.safetensors")[file.dataOffset...]
        #expect(Array(data) == [1, 0, 2, 0, 3, 0, 4, 0, 7, 8, 9, 10])
    }

    @Test func nothingIsLeftOfWhatWasNotClosed() throws {
        do {
            let stream = try SafetensorsStream(path: folder.path("a.safetensors"), name: "x", shape: [3])
            try stream.append([1, 2])
        }
        #expect(try folder.names() == [])
    }

    @Test func refusesMoreThanAFileHolds() throws {
        let path = folder.path("a.safetensors")
        let error = #expect(throws: UserFacingError.self) {
            _ = try SafetensorsStream(path: path, name: "x", shape: [1 << 40, 1 << 40])
        }
        #expect(error?.kind == .system(code: EFBIG))
        #expect(try folder.names() == [])
    }
}
