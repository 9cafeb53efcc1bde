extension Checkpoint {
    /// The files of the model's tokenizer; those of a KerasHub preset in Hugging Face's terms.
    ///
    /// - Returns: the files, which may be none.
    /// - Throws: ``TokenizerEditError`` when a preset's tokenizer is of a class that is not known, or not what it should be.
    public func tokenizerFiles() throws(TokenizerEditError) -> TokenizerFiles {
        if let keras = try KerasTokenizer(of: companions, path: path) { return try keras.huggingFace().files }
        return TokenizerFiles(of: companions, path: path)
    }

    /// The other files with a tokenizer's in place of those that are there; in a KerasHub preset as KerasHub has them.
    ///
    /// - Throws: ``TokenizerEditError/noKerasForm(path:reason:)`` when the preset's class can't hold the tokenizer.
    public func companions(with tokenizer: TokenizerFiles) throws(TokenizerEditError) -> [Companion] {
        guard let keras = try KerasTokenizer(of: companions, path: path) else {
            return companions.replacing(tokenizer: tokenizer)
        }
        let made = try tokenizer.kerasHub(keras.kind, like: keras.json)
        return companions.compactMap { companion in
            if companion.name == "tokenizer.json" { return made.first { $0.name == companion.name } }
            return companion.name.hasPrefix(KerasTokenizer.folder) ? nil : companion
        } + made.filter { $0.name != "tokenizer.json" }
    }

    /// Whether a Llama is one that KerasHub has as Llama 3: its tokenizer is a byte-level one.
    func isLlama3(_ family: KerasFamily) throws(ConversionError) -> Bool {
        guard family.modelType == "llama" else { return false }
        do { return try TokenizerFiles(of: companions, path: path).isByteLevel } catch {
            throw .tokenizer(error)
        }
    }

    /// Has a preset's tokenizer follow into Hugging Face's terms, and the configuration name its special tokens.
    mutating func convertKerasTokenizer() throws(ConversionError) {
        do throws(TokenizerEditError) {
            guard let converted = try KerasTokenizer(of: companions, path: path)?.huggingFace() else {
                return
            }
            companions.removeAll {
                $0.name == "tokenizer.json" || $0.name.hasPrefix(KerasTokenizer.folder)
            }
            companions = companions.replacing(tokenizer: converted.files)
            for (role, id) in converted.roles where role != "unk" {
                configuration?[role + "_token_id"] = JSON(id)
            }
        } catch .kerasClass(_, let name) {
            leftOut.append(LeftOut(name: "tokenizer.json", reason: "a \(name), which has no counterpart"))
        } catch {
            throw .tokenizer(error)
        }
    }

    /// Has a Hugging Face tokenizer follow into KerasHub's terms; one that KerasHub has no form for is left out.
    mutating func convertTokenizer(to family: KerasFamily) throws(ConversionError) {
        let files = TokenizerFiles(of: companions, path: path)
        if files.isEmpty { return }
        companions.removeAll { TokenizerFiles.names.contains($0.name) }
        do throws(TokenizerEditError) {
            let isByteLevel = try files.isByteLevel
            let kind = KerasTokenizerClass.all(of: family.backbone).first { $0.isBytePair == isByteLevel }
            guard let kind else {
                throw .noKerasForm(
                    path: path,
                    reason: "a \(family.backbone) takes "
                        + (isByteLevel ? "SentencePiece's models" : "byte pairs") + " only")
            }
            companions += try files.kerasHub(kind)
        } catch .noKerasForm(_, let reason) {
            leftOut.append(LeftOut(name: "tokenizer.json", reason: reason))
        } catch {
            throw .tokenizer(error)
        }
    }
}
