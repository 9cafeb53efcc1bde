import Foundation
import OrderedCollections
import Testing

@testable import Formats

/// The HDF5 files that `Scripts/fixtures/hdf5_files.py` made.
enum HDF5Fixtures {
    static func path(_ name: String) throws -> String {
        let folder = try #require(Bundle.module.url(forResource: "Fixtures", withExtension: nil))
        return folder.appendingPathComponent("HDF5/\(name)").path
    }

    /// Expects the same tensors, byte for byte.
    static func expectEqual(
        _ found: Checkpoint, _ expected: Checkpoint, location: SourceLocation = #_sourceLocation
    ) throws {
        #expect(Set(found.tensors.keys) == Set(expected.tensors.keys), sourceLocation: location)
        for (name, tensor) in expected.tensors {
            let other = try #require(found.tensors[name], sourceLocation: location)
            #expect(
                other.type == tensor.type && other.shape == tensor.shape, "\(name)", sourceLocation: location)
            guard other.type == tensor.type, other.shape == tensor.shape else { continue }
            #expect(try other.firstDifference(from: tensor) == nil, "\(name)", sourceLocation: location)
        }
    }
}
