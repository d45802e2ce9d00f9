# LIBRARY.sha256 beside LIBRARY, as sha256sum writes it: cmake -DLIBRARY=FILE -P write_digest.cmake
file(SHA256 "${LIBRARY}" digest)
get_filename_component(name "${LIBRARY}" NAME)
file(WRITE "${LIBRARY}.sha256" "${digest}  ${name}\n")
