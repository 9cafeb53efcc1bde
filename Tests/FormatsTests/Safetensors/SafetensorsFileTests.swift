import Foundation
import TestSupport
import Testing

@testable import Formats

/// What the reference library says of each file, and the numbers in the file it wrote: see `Fixtures/README.md`.
private let fixtures = Bundle.module.resourcePath.map { $0 + "/Fixtures/Safetensors" } ?? ""
private let golden = (try? JSON.read(path: fixtures + "/verdicts.json")) ?? .null
private let verdicts = golden["files"]?.object ?? JSONObject()

@Suite struct SafetensorsFileTests {
    @Test func thereAreVerdicts() {
        #expect(verdicts.count == 147)
        #expect(verdicts.values.count { $0["accepted"]?.bool == true } == 53)
        #expect(golden["source"]?.string?.hasPrefix("safetensors 0.8.0") == true)
    }

    /// Every file is refused or accepted as the reference does, and has the same tensors.
    @Test(arguments: verdicts.keys) func verdict(name: String) throws {
        let verdict = try #require(verdicts[name])
        let path = "\(fixtures)/\(name).safetensors"
        if verdict["accepted"]?.bool == true {
            let file = try SafetensorsFile(path: path)
            let names = verdict["tensors"]?.array?.compactMap(\.string)
            #expect(file.header.entries.map(\.name).sorted() == names)
            #expect(file.tensors.count == names?.count)
            for tensor in file.tensors { _ = try bytes(of: .stored(tensor)) }
        } else {
            let error = #expect(throws: UserFacingError.self) { _ = try SafetensorsFile(path: path) }
            #expect(error?.description.contains("\(name).safetensors") == true)
            #expect(error?.fault == .input)
        }
    }

    /// A file cut off anywhere is refused.
    @Test func cutOffAnywhere() throws {
        let folder = try TemporaryFolder()
        let whole = try InputFile(path: fixtures + "/reference.safetensors").bytes()
        for length in stride(from: 0, to: whole.count, by: 7) {
            try folder.write("cut.safetensors", Array(whole[..<length]))
            #expect(throws: UserFacingError.self) {
                _ = try SafetensorsFile(path: folder.path("cut.safetensors"))
            }
        }
    }

    /// A file with any bit of its header changed is refused, or its tensors lie inside the file.
    @Test func changedAnywhere() throws {
        let folder = try TemporaryFolder()
        let whole = try InputFile(path: fixtures + "/reference.safetensors").bytes()
        let header = try SafetensorsFile(path: fixtures + "/reference.safetensors").dataOffset
        for place in stride(from: 0, to: header, by: 3) {
            var changed = whole
            changed[place] ^= UInt8(1 << (place % 8))
            try folder.write("changed.safetensors", changed)
            guard let file = try? SafetensorsFile(path: folder.path("changed.safetensors")) else { continue }
            for tensor in file.tensors { #expect(tensor.range.offset + tensor.range.count <= whole.count) }
        }
    }

    @Test func readsWhatTheReferenceWrote() throws {
        let model = try Checkpoint.open(fixtures + "/reference.safetensors")
        let values = try #require(golden["reference"]?.object)
        #expect(values.count == 8 && model.names.count == 10)
        for (name, numbers) in values {
            let expected = try #require(numbers.array).map { Float($0.double ?? .nan) }
            #expect(try #require(model[name]).floats() == expected, "\(name)")
        }
        #expect(model["ids"]?.type == .i64 && model["mask"]?.type == .bool)
        #expect(model.metadata == ["format": "pt"])
    }

    @Test(arguments: [
        ("header-over-limit", "its header claims 100000001 bytes, and the format allows 100000000"),
        ("data-cut-off", "has 63 bytes, and its header describes 65: it is cut off; download it again"),
        ("offsets-hole", "the data of tensor 'b' is at bytes 2 to 3, and should begin at 1"),
        ("size-too-small", "tensor 'a' F32[2] takes 8 bytes, and its offsets cover 4"),
        ("type-lower-case", "tensor 'a' has the string \"f32\" where a dtype such as \"BF16\" is expected"),
        (
            "shape-negative",
            "tensor 'a' has the number -1 where a dimension, a whole number from 0 on, is expected"
        ),
        ("metadata-number", "tensor '__metadata__' has the number 1 where a string for 'a' is expected"),
    ]) func messages(name: String, part: String) {
        let error = #expect(throws: UserFacingError.self) {
            _ = try SafetensorsFile(path: "\(fixtures)/\(name).safetensors")
        }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    }
}
