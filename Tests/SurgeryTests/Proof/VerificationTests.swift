import Formats
import Foundation
import OrderedCollections
import Surgery
import TestSupport
import Testing

@Suite("Verification")
struct VerificationTests {
    @Test func needsAManifest() throws {
        let source = try MemoryModels.layers(2)
        #expect(throws: UserFacingError.noManifest(path: "model")) { try verify(source) }
    }

    @Test func refusesAManifestOfFormat1() throws {
        var source = try MemoryModels.layers(2)
        let error = UserFacingError.unreleasedManifest(file: "model/surgery.json")
        source.unusableManifest = error
        #expect(throws: error) { try verify(source) }
    }

    /// A manifest without sources: what it says must still be what is there.
    @Test func comparesNamesTypesAndBytes() throws {
        var checkpoint = try MemoryModels.checkpoint(["same", "other", "extra"])
        checkpoint.manifest = Manifest(
            tool: "test", operations: [], sources: [],
            provenance: [
                "same": try .zeros(.u8, shape: [4]), "other": try .zeros(.u8, shape: [9]),
                "lost": try .zeros(.u8, shape: [1]),
                "trained": try .computed("heal", type: .u8, shape: [1]),
            ])
        let proof = try verify(checkpoint)
        #expect(!proof.isComplete)
        #expect(
            proof.failures.map { "\($0.tensor): \($0.reason)" } == [
                "same: its byte 0 is 115, and should be 0",
                "other: it is U8 [5], and should be U8 [9]",
                "lost: surgery.json lists it, but it is not among the tensors",
                "trained: surgery.json lists it, but it is not among the tensors",
                "extra: it is among the tensors, but surgery.json does not say what it was made from",
            ])
    }

    /// A manifest that tells other layers than its tensors were made from, also after several operations.
    @Test func layersMustBeThoseOfTheTensors() throws {
        let folder = try TemporaryFolder()
        try CheckpointWriter().write(MemoryModels.layers(4), to: folder.path("base"))
        func verified(_ operations: [any SurgeryOperation], _ change: (inout Manifest) -> Void) throws
            -> Proof
        {
            var model = try Checkpoint.open(folder.path("base"))
            for operation in operations { model = try model.applying(operation).checkpoint }
            let output = folder.path("out-\(operations.count)")
            try CheckpointWriter(options: .init(force: true)).write(model, to: output)
            var result = try Checkpoint.open(output)
            var manifest = try #require(result.manifest)
            change(&manifest)
            result.manifest = manifest
            return try verify(result)
        }
        /// The last operation, with other origins and the kinds that go with them.
        func telling(_ origins: [Int]) -> (inout Manifest) -> Void {
            { manifest in
                let last = manifest.operations.removeLast()
                var (layers, seen) = (last.facts["layers"] ?? .null, Set<Int>())
                layers["origins"] = .array(origins.map { JSON($0) })
                layers["kinds"] = .array(
                    origins.map { seen.insert($0).inserted ? "original" : "duplicate" })
                var facts = last.facts
                facts["layers"] = layers
                manifest.operations.append(
                    .init(name: last.name, parameters: last.parameters, facts: facts))
            }
        }
        let dus = LayerArrangement(plan: "0-2,1-3"), turned = LayerArrangement(plan: "5-0")
        #expect(try verified([dus]) { _ in }.isComplete)
        #expect(try verified([dus, turned]) { _ in }.isComplete)
        #expect(try verified([dus], telling([0, 1, 2, 1, 2, 3])).isComplete)
        let error = try #require(
            #expect(throws: UserFacingError.self) { try verified([dus], telling([0, 1, 2, 3, 2, 3])) })
        #expect(error.kind == .malformed)
        #expect(
            error.message.contains(
                "surgery.json contradicts itself: its operations tell that layer 3 comes from layer 3"))
        #expect(error.message.contains("was made from layer 1"), "\(error.message)")
        #expect(throws: UserFacingError.self) {
            try verified([dus, turned], telling([0, 1, 2, 3, 4, 5]))
        }
    }

    @Test func trainedTensorsAreNotProven() throws {
        var checkpoint = try MemoryModels.checkpoint(["trained"])
        checkpoint.manifest = Manifest(
            tool: "test", operations: [], sources: [],
            provenance: ["trained": try .computed("heal", type: .u8, shape: [7])])
        let proof = try verify(checkpoint)
        #expect(proof.unproven == ["trained"] && proof.failures == [] && !proof.isComplete)
    }

    /// A result on disk that is proven when nobody stops it.
    private func result(in folder: TemporaryFolder) throws -> Checkpoint {
        try CheckpointWriter().write(MemoryModels.layers(2), to: folder.path("base"))
        var model = try Checkpoint.open(folder.path("base"))
        model.operations = [.init(name: "convert", parameters: JSONObject())]
        try CheckpointWriter().write(model, to: folder.path("out"))
        return try Checkpoint.open(folder.path("out"))
    }

    /// Stopped at any moment there is no proof, also where everything compared so far was right.
    @Test(arguments: [1, 2, 4]) func aStoppedVerificationProvesNothing(threads: Int) throws {
        let folder = try TemporaryFolder()
        let result = try result(in: folder)
        var moments = 0
        let proof = try verify(result, threads: threads) {
            moments += 1
            return false
        }
        #expect(proof.isComplete && proof.copied == result.tensors.count)
        #expect(proof.comparedByteCount == result.byteCount && moments >= 2)
        for moment in [1, 2] {
            var asked = 0
            #expect(throws: UserFacingError.unproven(result.path)) {
                try verify(result, threads: threads) {
                    asked += 1
                    return asked >= moment
                }
            }
            #expect(asked >= moment)
        }
    }

    /// Also while nothing is left to do but to wait for the source's checksums.
    @Test func stoppedWhileItWaitsForChecksums() throws {
        let folder = try TemporaryFolder()
        var result = try result(in: folder)
        let manifest = try #require(result.manifest)
        // The checksum of a file with a large hole takes longer than comparing no tensor.
        let header = Array(#"{"h":{"dtype":"U8","shape":[4000000000],"data_offsets":[0,4000000000]}}"#.utf8)
        let size = 8 + header.count + 4_000_000_000
        let hole = try folder.write(
            "hole.safetensors", [UInt8(header.count), 0, 0, 0, 0, 0, 0, 0] + header)
        let handle = try FileHandle(forWritingTo: URL(filePath: hole))
        try handle.truncate(atOffset: UInt64(size))
        try handle.close()
        result.tensors = [:]
        result.manifest = Manifest(
            tool: manifest.tool, operations: [],
            sources: [.init(path: hole, bytes: size, sha256: "0")], provenance: [:])
        let waiting = result
        #expect(throws: UserFacingError.unproven(waiting.path)) { try verify(waiting) { true } }
    }
}
