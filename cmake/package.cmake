# Everpool as a package: the install rules, and the export of the build tree.
# SPDX-License-Identifier: BSL-1.0
#
# The build tree is exported, so that another project can say `-Deverpool_DIR=<build>/` without an
# installation, and a project that Everpool is a part of can export what links to it; install rules
# come on request.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(everpool_targets everpool_core)
if(TARGET everpool)
    list(APPEND everpool_targets everpool)
endif()
set(everpool_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/everpool")

# CMake refuses to export a target without those that it needs. Where one of them is built in the
# same tree (a host with its own copy of fmt), it may be in no export, and the host must not fail
# for that.
set(everpool_can_be_exported TRUE)
foreach(target Boost::headers Boost::json cereal::cereal fmt::fmt zstd::libzstd_shared)
    if(TARGET ${target})
        get_target_property(is_imported ${target} IMPORTED)
        if(NOT is_imported)
            set(everpool_can_be_exported FALSE)
        endif()
    endif()
endforeach()
if(everpool_can_be_exported)
    export(TARGETS ${everpool_targets} NAMESPACE everpool::
        FILE "${PROJECT_BINARY_DIR}/everpoolTargets.cmake")
endif()
configure_package_config_file(
    "${CMAKE_CURRENT_LIST_DIR}/everpoolConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/everpoolConfig.cmake"
    INSTALL_DESTINATION "${everpool_config_dir}"
    NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break its users.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/everpoolConfigVersion.cmake"
    VERSION "${PROJECT_VERSION}" COMPATIBILITY SameMinorVersion)

if(EVERPOOL_INSTALL)
    install(TARGETS ${everpool_targets} EXPORT everpoolTargets
        FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
    install(EXPORT everpoolTargets NAMESPACE everpool:: DESTINATION "${everpool_config_dir}")
    install(FILES
        "${PROJECT_BINARY_DIR}/everpoolConfig.cmake"
        "${PROJECT_BINARY_DIR}/everpoolConfigVersion.cmake"
        DESTINATION "${everpool_config_dir}")
    install(FILES "${PROJECT_SOURCE_DIR}/LICENSE"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/everpool")
    if(EXISTS "${EVERPOOL_ONNXRUNTIME_WEB_DIR}/../LICENSE")
        # The library embeds files of onnxruntime-web; its licence goes where they go.
        install(FILES "${EVERPOOL_ONNXRUNTIME_WEB_DIR}/../LICENSE"
            DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/everpool" RENAME LICENSE.onnxruntime-web)
    endif()
endif()
