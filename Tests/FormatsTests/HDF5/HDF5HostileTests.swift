import Foundation
import OrderedCollections
import TestSupport
import Testing

@testable import Formats

@Suite("Hostile HDF5 files")
struct HDF5HostileTests {
    /// What the error of each file says.
    private static let words = [
        "array": "arrays inside elements", "bomb": "only 0 are stored",
        "bomb-contiguous": "only 0 are stored",
        "bomb-uncountable": "can't be counted", "chunk-bomb": "can be unpacked at once",
        "compound": "compound values", "cycle": "a/b: it is the same group as a",
        "dangling": "link: it is a soft link",
        "deep": "more than 64 groups deep", "doubled": "b: it is the same group as a",
        "extended-float": "floating-point numbers of 16 bytes",
        "external-link": "link: it is an external link",
        "external-storage": "kept in external files", "lzf": "filter 32000 (lzf)",
        "missing-layer": "no dataset gone", "missing-weight": "no dataset dense/gone",
        "named-type": "t: it is a named type", "no-weight-names": "attribute weight_names is not there",
        "null": "no shape", "opaque": "2 opaque bytes (attribute dtype", "opaque-other": "said to be float7",
        "reference": "references", "root-cycle": "root: it is the same group as /",
        "soft": "link: it is a soft link",
        "text": "strings", "virtual": "virtual dataset",
        "weight-names-numbers": "attribute weight_names is not",
    ]

    @Test func checksumsAreThoseOfTheReference() {
        // driver5() of lookup3.c.
        #expect(HDF5Checksum.lookup3([]) == 0xDEAD_BEEF)
        #expect(HDF5Checksum.lookup3(Array("Four score and seven years ago".utf8)) == 0x1777_0551)
    }

    @Test func eachIsRefusedInASentence() throws {
        let files = try FileSystem.names(HDF5Fixtures.path("hostile"))
        #expect(files.count == Self.words.count)
        for file in files {
            let path = try HDF5Fixtures.path("hostile/\(file)")
            let error = #expect(throws: UserFacingError.self, "\(file)") { try Checkpoint.open(path) }
            let words = Self.words[String(file.dropLast(3))] ?? "unknown file"
            #expect(error?.description.contains(words) == true, "\(file): \(error?.description ?? "")")
            #expect(error?.fault == .input)
            #expect(error?.description.hasPrefix(path) == true)
        }
    }

    @Test(arguments: ["types.h5", "packed.h5", "keras2-variable.h5", "presets/llama-bf16/model.weights.h5"])
    func filesCutOffAreRefused(name: String) throws {
        let folder = try TemporaryFolder()
        let whole = try InputFile(path: HDF5Fixtures.path(name)).bytes()
        for count in Set((0..<24).map { whole.count * $0 / 24 } + [1, 7, 8, 9, 95, 96, 97, whole.count - 1]) {
            try folder.write("cut.h5", Array(whole[..<count]))
            #expect(throws: UserFacingError.self, "\(count)") { try Checkpoint.open(folder.path("cut.h5")) }
        }
    }

    /// Damage in one place: where, what stands there, and what is put there.
    ///
    /// libhdf5 1.10.8 would not survive the free blocks and the tree in a circle, the data smaller than its shape, and
    /// the two chunks that are too small.
    struct Patch: Sendable, CustomTestStringConvertible {
        let file: String
        let what: String
        let changes: [(place: Int, old: [UInt8], new: [UInt8])]
        let words: String

        init(
            _ file: String, _ what: String, _ changes: [(place: Int, old: [UInt8], new: [UInt8])],
            _ words: String
        ) {
            (self.file, self.what, self.changes, self.words) = (file, what, changes, words)
        }

        var testDescription: String { "\(file): \(what)" }
    }

    private static let patches = [
        Patch(
            "keras2.h5", "more elements than an attribute's message", [(872, [4], [255])],
            "elements of 9 bytes"),
        Patch(
            "keras2.h5", "larger elements than the message", [(860, [9, 0], [0, 9])], "elements of 2304 bytes"
        ),
        Patch("keras2.h5", "an attribute's name without an end", [(834, [12], [8])], "name does not end"),
        Patch("keras2.h5", "free blocks in a circle", [(760, [1], [48])], "in a circle"),
        Patch(
            "keras2.h5", "a tree in a circle", [(141, [0], [1]), (168, [0xA8, 6], [0x88, 0])], "in two ways"),
        Patch(
            "keras2.h5", "a header that goes on at itself",
            [(120, [0x20, 3], [0x70, 0]), (128, [0xC8], [24])],
            "reached in two ways"),
        Patch("keras2.h5", "more children than fit", [(142, [1, 0], [255, 255])], "has 65535 children"),
        Patch(
            "keras2.h5", "a message that must not be skipped, of an unknown kind",
            [(928, [12], [64]), (932, [0], [0x80])], "the unknown message 64"),
        Patch("keras2.h5", "parts of a version to come", [(9, [0], [1])], "unknown versions"),
        Patch("packed.h5", "chunks without elements", [(10_859, [4], [0])], "chunks of [0, 8] elements"),
        Patch("packed.h5", "chunks of another rank", [(10_850, [3], [33])], "ends too early"),
        Patch("packed.h5", "data smaller than its shape", [(58_242, [36], [4])], "has 4 bytes"),
        Patch(
            "packed.h5", "a chunk that is too small and unpacked",
            [(11_312, [139, 0, 0, 0, 0], [16, 0, 0, 0, 1])], "does not have 128 bytes"),
        Patch(
            "packed.h5", "a chunk smaller than its checksum", [(29_024, [200], [2])],
            "does not have 196 bytes"),
    ]

    @Test(arguments: patches) func damageIsFound(patch: Patch) throws {
        let folder = try TemporaryFolder()
        var bytes = try InputFile(path: HDF5Fixtures.path(patch.file)).bytes()
        for (place, old, new) in patch.changes {
            try #require(Array(bytes[place..<place + old.count]) == old)
            bytes.replaceSubrange(place..<place + new.count, with: new)
        }
        try folder.write("changed.h5", bytes)
        let error = try #require(
            throws: (any Error).self
        ) { try Self.readAll(folder.path("changed.h5")) }
        let description = (error as? UserFacingError)?.description ?? ""
        #expect(description.contains(patch.words), "\(description)")
    }

    @Test func whatIsStillBeingWrittenIsRefused() throws {
        let folder = try TemporaryFolder()
        var bytes = try InputFile(path: HDF5Fixtures.path("latest.h5")).bytes()
        // The superblock of version 3, and its checksum.
        try #require(bytes[8] == 3 && bytes[11] == 0)
        bytes[11] = 1
        let sum = HDF5Mutation.lookup3(bytes[..<44])
        for index in 0..<4 { bytes[44 + index] = UInt8(truncatingIfNeeded: sum >> (8 * index)) }
        try folder.write("open.h5", bytes)
        let error = #expect(throws: UserFacingError.self) { try Checkpoint.open(folder.path("open.h5")) }
        #expect(error?.description.contains("still being written") == true)
    }

    @Test(arguments: [
        ("keras2-variable.h5", 1), ("types.h5", 2), ("packed.h5", 3), ("dense.h5", 4), ("latest.h5", 5),
        ("presets/llama-bf16/model.weights.h5", 6),
    ])
    func changedBytesAreAModelOrAnError(name: String, seed: UInt64) throws {
        let folder = try TemporaryFolder()
        let mutation = HDF5Mutation(try InputFile(path: HDF5Fixtures.path(name)).bytes())
        // Files of newer libraries have checksums, which must not be all that finds a change.
        #expect(["dense.h5", "latest.h5"].contains(name) == (mutation.checksumCount > 8))
        var dice = SplitMix64(seed: seed)
        var (models, errors) = (0, 0)
        for _ in 0..<150 {
            try folder.write("changed.h5", mutation.changed(&dice))
            do {
                try Self.readAll(folder.path("changed.h5"))
                models += 1
            } catch let error as UserFacingError {
                #expect(error.fault == .input)
                errors += 1
            }
        }
        #expect(models > 10 && errors > 10)
        // Whatever was wrong, nothing stays open.
        #expect(try Self.openFiles(in: folder.path) == [])
    }

    /// The files of a folder that this process has open.
    private static func openFiles(in folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
        }.filter { $0.hasPrefix(folder) }
    }

    private static func readAll(_ path: String) throws {
        for tensor in try Checkpoint.open(path).tensors.values { _ = try bytes(of: tensor) }
    }

    @Test func anIndexIsCheckedAgainstItsFiles() throws {
        let folder = try TemporaryFolder()
        let source = try HDF5Fixtures.path("presets/mistral-sharded")
        for name in try FileSystem.names(source) {
            try folder.write(name, InputFile(path: Path.join(source, name)).bytes())
        }
        #expect(try Checkpoint.open(folder.path).tensors.isEmpty == false)
        let index = String(decoding: try folder.bytes("model.weights.json"), as: UTF8.self)
        try folder.write("model.weights.json", index.replacing("model_00000", with: "../model_00000"))
        #expect(throws: UserFacingError.self) { try Checkpoint.open(folder.path) }
        try folder.write(
            "model.weights.json", index.replacing("/layers/mistral_layer", with: "/layers/other_layer"))
        #expect(throws: UserFacingError.self) { try Checkpoint.open(folder.path) }
        try folder.write("model.weights.json", index)
        try FileSystem.remove(folder.path("model_00001.weights.h5"))
        let error = #expect(throws: UserFacingError.self) { try Checkpoint.open(folder.path) }
        #expect(error?.description.contains("model_00001.weights.h5, which is not there") == true)
    }
}
