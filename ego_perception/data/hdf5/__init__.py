"""Packed egocentric video: one HDF5 file per video of EPIC-KITCHENS, Ego4D or VISOR, for reading and for making.

The layouts are those of VIDM's packing scripts, so that files packed for it serve here as well. h5py is imported by the
modules of this package only. A file is opened for each read: hundreds of videos need no hundreds of open files, and readers
can be shared by threads and copied to processes.
"""
