// Why a model could not be written.
extension UserFacingError {
    /// The output is there already.
    package static func exists(path: String) -> Self {
        Self(
            .request,
            "\(path) exists already; name another output, or replace it with --force")
    }

    /// What should be replaced is no model's folder.
    package static func notAModel(path: String) -> Self {
        Self(
            .request,
            "\(path) is not replaced: it holds files but no model; remove it yourself, or name another output"
        )
    }

    /// The output would replace what it is made from.
    package static func isSource(path: String, source: String) -> Self {
        Self(
            .request,
            "\(path) can't be the output: it is or holds \(source), which is read to make it; name another folder"
        )
    }

    /// What the output is made from lies where the run that makes it is kept.
    static func runHoldsSource(path: String, folder: String, source: String) -> Self {
        Self(
            .request,
            """
            \(path) can't be the output: \(folder), where its run is kept, holds \(source), which is read to make it; name \
            another output
            """)
    }

    /// The output would lie inside the folder that it is made from.
    package static func insideSource(path: String, source: String) -> Self {
        Self(
            .request,
            "\(path) can't be the output: it lies inside \(source), which is read to make it; name a folder elsewhere"
        )
    }

    /// The folder that is to hold the output is not there, or can't be written to.
    package static func noFolder(output: String, folder: String, obstacle: String) -> Self {
        Self(
            .request,
            "\(output) can't be written: \(folder) \(obstacle); name an output in a folder that you can write to"
        )
    }

    /// There is nothing to write.
    package static var nothingToWrite: Self {
        Self(
            .missing,
            "there is no tensor to write")
    }

    /// A tensor has a name that the format keeps for itself.
    package static func reservedName(_ name: String) -> Self {
        Self(
            .unsupported,
            "no tensor can be called '\(name)' in a file of this format")
    }

    /// HDF5 has no such type.
    package static func noHDF5Type(name: String, _ type: ElementType) -> Self {
        Self(
            .unsupported,
            "tensor '\(name)' is \(type.rawValue), which HDF5 has no type for; write safetensors")
    }

    /// A name that leads into a tensor, or to one that is there already.
    package static func nameInsideTensor(_ name: String, tensor: String) -> Self {
        Self(
            .unsupported,
            "tensors '\(name)' and '\(tensor)' can't be in one HDF5 file: one's name leads through the other's; write safetensors"
        )
    }

    /// libhdf5 refused something.
    package static func hdf5Failure(doing: String, path: String, reason: String) -> Self {
        Self(
            .unsupported,
            "libhdf5 could not \(doing) \(path): \(reason); write safetensors")
    }

    /// The list of tensors is longer than the format allows.
    package static func headerTooLarge(file: String, bytes: Int) -> Self {
        Self(
            .unsupported,
            "\(file) would have a header of \(bytes) bytes, and the format allows \(SafetensorsHeader.largestHeader); write smaller shards"
        )
    }

    /// The disk has too little room.
    package static func noSpace(path: String, needed: Int, available: Int) -> Self {
        Self(
            .resources,
            "the disk of \(path) has \(available) bytes left, and \(needed) are needed; free \(needed - available) bytes or name an output elsewhere"
        )
    }

    /// Another process writes the same output.
    package static func busy(path: String) -> Self {
        Self(
            .busy,
            "another process is writing \(path); wait for it, or name another output")
    }

    /// It was stopped; the same command goes on from here.
    package static func interrupted(partial: String) -> Self {
        Self(
            .interrupted,
            "stopped; what is done is in \(partial), and the same command goes on from there")
    }
}
