import Formats
import OrderedCollections
import Surgery
import Testing

@Suite("Verification")
struct VerificationTests {
    @Test func needsAManifest() throws {
        let source = try Models.layers(2)
        #expect(throws: VerificationError.noManifest(path: "model")) { try Verification(source) }
    }

    @Test func refusesAManifestOfFormat1() throws {
        var source = try Models.layers(2)
        let error = ManifestError.unreleased(file: "model/surgery.json", format: 1)
        source.unusableManifest = error
        #expect(throws: VerificationError.manifest(error)) { try Verification(source) }
    }

    /// A manifest without sources: what it says must still be what is there.
    @Test func comparesNamesTypesAndBytes() throws {
        var checkpoint = try Models.checkpoint(["same", "other", "extra"])
        checkpoint.manifest = Manifest(
            tool: "test", operations: [], sources: [],
            provenance: [
                "same": try .zeros(.u8, shape: [4]), "other": try .zeros(.u8, shape: [9]),
                "lost": try .zeros(.u8, shape: [1]),
                "trained": try .computed("heal", type: .u8, shape: [1]),
            ])
        let verification = try Verification(checkpoint)
        #expect(!verification.isProven)
        #expect(
            verification.failures.map { "\($0.tensor): \($0.reason)" } == [
                "same: its byte 0 is 115, and should be 0",
                "other: it is U8 [5], and should be U8 [9]",
                "lost: surgery.json lists it, but it is not among the tensors",
                "trained: surgery.json lists it, but it is not among the tensors",
                "extra: it is among the tensors, but surgery.json does not say what it was made from",
            ])
    }

    @Test func trainedTensorsAreNotProven() throws {
        var checkpoint = try Models.checkpoint(["trained"])
        checkpoint.manifest = Manifest(
            tool: "test", operations: [], sources: [],
            provenance: ["trained": try .computed("heal", type: .u8, shape: [7])])
        let verification = try Verification(checkpoint)
        #expect(verification.unproven == ["trained"] && verification.failures == [] && !verification.isProven)
    }
}
